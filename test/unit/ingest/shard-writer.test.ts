// The commit loop with a database that the test plays: a function that answers what the test says,
// and sources that write down what they are told.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ArchiveBatch } from '#archive/mod.ts';
import { BackcastError } from '#base/mod.ts';
import { type BatchSource, ShardWriter } from '#ingest/shard-writer.ts';

const AWAY = new BackcastError('BACKCAST_DATABASE_UNREACHABLE', 'away');

/** A batch that is told apart by its channel and head. */
function batchOf(channelId: number, expectedHead: number): ArchiveBatch {
  return {
    channelId,
    epoch: 1,
    expectedHead,
    segments: [],
    sessions: [],
    losses: [],
    heals: [],
    conflicts: [],
  };
}

/** A source of `ready` full batches, and one young one that only `force` gets out. */
class ListedSource implements BatchSource {
  readonly told: string[] = [];
  readonly #channelId: number;
  readonly #ready: number;
  #given = 0;
  #hasYoung: boolean;
  youngDueAtMs = Number.POSITIVE_INFINITY;

  constructor(channelId: number, ready: number, hasYoung = false) {
    this.#channelId = channelId;
    this.#ready = ready;
    this.#hasYoung = hasYoung;
  }

  get nextDeadlineMs(): number {
    if (this.#given < this.#ready) return Number.NEGATIVE_INFINITY;
    return this.#hasYoung ? this.youngDueAtMs : Number.POSITIVE_INFINITY;
  }

  pollBatch(nowMs: number, force: boolean): ArchiveBatch | undefined {
    if (this.#given < this.#ready) {
      this.#given += 1;
      return batchOf(this.#channelId, this.#given);
    }
    if (!this.#hasYoung || (!force && nowMs < this.youngDueAtMs)) return undefined;
    this.#hasYoung = false;
    return batchOf(this.#channelId, 99);
  }

  committed(batch: ArchiveBatch): void {
    this.told.push(`committed ${batch.expectedHead}`);
  }

  fenced(): void {
    this.told.push('fenced');
  }
}

interface Stage {
  readonly writer: ShardWriter;
  /** Channel and head of every attempt. */
  readonly attempts: string[];
  readonly database: string[];
}

/** A writer whose attempts `answer` decides. */
function stage(answer: (batch: ArchiveBatch, attempt: number) => 'committed' | 'fenced'): Stage {
  const attempts: string[] = [];
  const database: string[] = [];
  const writer = new ShardWriter({
    append: async (batch) => {
      attempts.push(`${batch.channelId}/${batch.expectedHead}`);
      const outcome = answer(batch, attempts.length);
      return outcome === 'fenced' ? { outcome } : { outcome, head: 0, archivedAtUs: 0 };
    },
    nowMs: () => performance.now(),
    onDatabase: (state) => database.push(state),
  });
  return { writer, attempts, database };
}

const never = new AbortController().signal;

test('drained, a writer commits all there is, the young batches too, and returns', async () => {
  const { writer, attempts } = stage(() => 'committed');
  const source = new ListedSource(1, 2, true);
  writer.add(source);
  writer.drain();
  assert.equal(await writer.run(never), true);
  assert.deepEqual(attempts, ['1/1', '1/2', '1/99']);
  assert.deepEqual(source.told, ['committed 1', 'committed 2', 'committed 99']);
  assert.equal(writer.commits, 3);
});

test('channels take turns, however much one of them has', async () => {
  const { writer, attempts } = stage(() => 'committed');
  writer.add(new ListedSource(1, 4));
  writer.add(new ListedSource(2, 2));
  writer.add(new ListedSource(3, 1));
  writer.drain();
  await writer.run(never);
  assert.deepEqual(attempts, ['1/1', '2/1', '3/1', '1/2', '2/2', '1/3', '1/4']);
});

test('a batch that fails in passing is tried again verbatim, before anything else', async () => {
  const given: ArchiveBatch[] = [];
  const { writer, attempts, database } = stage((batch, attempt) => {
    given.push(batch);
    if (attempt === 2 || attempt === 3) throw AWAY;
    return 'committed';
  });
  writer.add(new ListedSource(1, 2));
  writer.add(new ListedSource(2, 1));
  writer.drain();
  assert.equal(await writer.run(never), true);
  assert.deepEqual(attempts, ['1/1', '2/1', '2/1', '2/1', '1/2']);
  assert.ok(given[1] === given[2] && given[2] === given[3]);
  assert.deepEqual(database, ['away', 'back']);
});

test('an error that no retry mends ends the run with it', async () => {
  const refused = new BackcastError('BACKCAST_DATABASE_REFUSED', 'no');
  const { writer, attempts } = stage(() => {
    throw refused;
  });
  writer.add(new ListedSource(1, 1));
  await assert.rejects(writer.run(never), refused);
  assert.equal(attempts.length, 1);
});

test('a bug in an append is not taken for a database that is away', async () => {
  const { writer } = stage(() => {
    throw new TypeError('a bug');
  });
  writer.add(new ListedSource(1, 1));
  await assert.rejects(writer.run(never), TypeError);
});

test('a fenced channel is told so once and asked no more, and the others go on', async () => {
  const { writer, attempts } = stage((batch) => (batch.channelId === 1 ? 'fenced' : 'committed'));
  const fenced = new ListedSource(1, 3);
  writer.add(fenced);
  writer.add(new ListedSource(2, 2));
  writer.drain();
  assert.equal(await writer.run(never), true);
  assert.deepEqual(attempts, ['1/1', '2/1', '2/2']);
  assert.deepEqual(fenced.told, ['fenced']);
});

test('a channel that was let go is asked no more', async () => {
  const { writer, attempts } = stage(() => 'committed');
  const gone = new ListedSource(1, 3);
  writer.add(gone);
  writer.add(new ListedSource(2, 1));
  writer.remove(gone);
  writer.drain();
  await writer.run(never);
  assert.deepEqual(attempts, ['2/1']);
});

test('a writer with nothing to do sleeps until a channel comes or a batch is due', async () => {
  const { writer, attempts } = stage(() => 'committed');
  const run = writer.run(never);
  const source = new ListedSource(1, 0, true);
  source.youngDueAtMs = performance.now() + 5;
  const committed = new Promise<void>((resolve) => {
    source.committed = () => resolve();
  });
  writer.add(source);
  assert.deepEqual(attempts, []);
  await committed;
  assert.ok(performance.now() >= source.youngDueAtMs);
  writer.drain();
  assert.equal(await run, true);
});

test('a wake that comes while a batch is being committed is not lost', async () => {
  const { writer, attempts } = stage((_, attempt) => {
    if (attempt === 1) {
      writer.add(new ListedSource(2, 1));
      writer.drain();
    }
    return 'committed';
  });
  writer.add(new ListedSource(1, 1));
  assert.equal(await writer.run(never), true);
  assert.deepEqual(attempts, ['1/1', '2/1']);
});

test('the deadline ends a draining run while the database is away, and says so', async () => {
  const deadline = new AbortController();
  const { writer, attempts, database } = stage((_, attempt) => {
    if (attempt === 2) deadline.abort();
    throw AWAY;
  });
  const source = new ListedSource(1, 2);
  writer.add(source);
  writer.drain();
  assert.equal(await writer.run(deadline.signal), false);
  assert.deepEqual([attempts, source.told], [['1/1', '1/1'], []]);
  assert.deepEqual(database, ['away']);
});
