// The commit loop with a database that the test plays: a function that answers what the test says,
// and sources that write down what they are told.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ArchiveBatch, toDatabaseError } from '#archive/mod.ts';
import { BackcastError } from '#base/mod.ts';
import { type BatchSource, ShardWriter } from '#ingest/shard-writer.ts';
import { until } from '#test/support/until.ts';

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

  fenced({ outcome }: { readonly outcome: string }): void {
    this.told.push(outcome);
  }
}

type Outcome = 'committed' | 'fenced' | 'rolled_back';

interface Stage {
  readonly writer: ShardWriter;
  /** Channel and head of every attempt. */
  readonly attempts: string[];
  readonly database: string[];
  readonly refusals: string[];
}

/** A writer whose attempts `answer` decides. */
function stage(
  answer: (batch: ArchiveBatch, attempt: number) => Outcome,
  nowMs: () => number = () => performance.now(),
): Stage {
  const attempts: string[] = [];
  const refusals: string[] = [];
  const database: string[] = [];
  const writer = new ShardWriter({
    append: async (batch) => {
      attempts.push(`${batch.channelId}/${batch.expectedHead}`);
      const outcome = answer(batch, attempts.length);
      if (outcome === 'fenced') return { outcome };
      if (outcome === 'rolled_back') return { outcome, head: 0, epoch: 0 };
      return { outcome, head: 0, archivedAtUs: 0 };
    },
    nowMs,
    random: () => 0.5,
    onDatabase: (state) => database.push(state),
    onRefusal: (_, state, error) => refusals.push([state, error?.code].join(' ').trim()),
  });
  return { writer, attempts, database, refusals };
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

test('a batch that fails for want of the server is tried again verbatim, in its turn', async () => {
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
  assert.deepEqual(attempts, ['1/1', '2/1', '1/2', '2/1', '1/2']);
  assert.ok(given[1] === given[3] && given[2] === given[4]);
  assert.deepEqual(database, ['away', 'back']);
});

/** What the server says, as an append rejects with it. */
function failure(state: string): BackcastError {
  return toDatabaseError(Object.assign(new Error('said the server'), { code: state }), 'archiving');
}

test('a channel that only itself cannot be written holds up no other', async () => {
  for (const state of ['55P03', '40P01', '57014', '42501', '42P01', '23514']) {
    const { writer, attempts, database } = stage(({ channelId }) => {
      if (channelId === 1) throw failure(state);
      return 'committed';
    });
    const others = [new ListedSource(2, 3), new ListedSource(3, 3)];
    writer.add(new ListedSource(1, 2));
    for (const other of others) writer.add(other);
    const deadline = new AbortController();
    const told = new Promise<void>((resolve) => {
      others[1].committed = ({ expectedHead }) => {
        if (expectedHead === 3) resolve();
      };
    });
    const run = writer.run(deadline.signal);
    await told;
    deadline.abort();
    assert.equal(await run, false);
    assert.deepEqual(attempts, ['1/1', '2/1', '3/1', '2/2', '3/2', '2/3', '3/3'], state);
    assert.deepEqual(database, [], state);
  }
});

test('a refusal is told once, tried again, and its end is told', async () => {
  const { writer, refusals, database } = stage((_, attempt) => {
    if (attempt <= 3) throw failure('42501');
    return 'committed';
  });
  const source = new ListedSource(1, 2);
  writer.add(source);
  writer.drain();
  assert.equal(await writer.run(never), true);
  assert.deepEqual(refusals, ['refused BACKCAST_DATABASE_REFUSED', 'taken']);
  assert.deepEqual(source.told, ['committed 1', 'committed 2']);
  assert.deepEqual(database, []);
});

test('a refusal waits for seconds, and a stop does not', async () => {
  let isMended = false;
  const { writer, attempts, refusals } = stage(({ channelId }) => {
    if (channelId === 1 && !isMended) throw failure('42501');
    return 'committed';
  });
  const source = new ListedSource(1, 1);
  const run = writer.run(never);
  writer.add(source);
  await until('it is refused', () => refusals.length > 0);
  assert.ok(writer.isRefused(source));
  writer.add(new ListedSource(2, 1));
  await until('another is committed', () => writer.commits === 1);
  assert.deepEqual(attempts, ['1/1', '2/1']);
  isMended = true;
  writer.drain();
  assert.equal(await run, true);
  assert.ok(!writer.isRefused(source));
});

test('what should pass and does not is told as a refusal in the end', async () => {
  let nowMs = 0;
  const passing = (): number => (nowMs += 10_000);
  const { writer, attempts, refusals } = stage((_, attempt) => {
    if (attempt <= 25) throw failure('40P01');
    return 'committed';
  }, passing);
  writer.add(new ListedSource(1, 1));
  const run = writer.run(never);
  await until('it is committed', () => writer.commits === 1);
  writer.drain();
  assert.equal(await run, true);
  assert.deepEqual(refusals, ['refused BACKCAST_DATABASE_UNREACHABLE', 'taken']);
  assert.equal(attempts.length, 26);
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

test('a channel of which the server lacks something is told what', async () => {
  const { writer } = stage(() => 'rolled_back');
  const source = new ListedSource(1, 3);
  writer.add(source);
  writer.drain();
  await writer.run(never);
  assert.deepEqual(source.told, ['rolled_back']);
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

const QUIET = {
  nowMs: () => performance.now(),
  random: () => 0.5,
  onDatabase: () => undefined,
  onRefusal: () => undefined,
};

/** A writer of two lanes whose attempts stay open until the test settles them, by channel. */
function openStage() {
  const open = new Map<number, { lane: number; settle: () => void }>();
  const news: (() => void)[] = [];
  let isWaiting = true;
  const writer = new ShardWriter({
    ...QUIET,
    append: async ({ channelId }, lane) => {
      assert.ok(!open.has(channelId), 'a channel has one batch under way');
      const { promise, resolve } = Promise.withResolvers<void>();
      open.set(channelId, { lane, settle: resolve });
      for (const tell of news.splice(0)) tell();
      if (isWaiting) await promise;
      open.delete(channelId);
      return { outcome: 'committed', head: 0, archivedAtUs: 0 };
    },
    laneCount: 2,
  });
  const nextAttempt = (): Promise<void> => new Promise((resolve) => void news.push(resolve));
  const letGo = (): void => {
    isWaiting = false;
    for (const { settle } of open.values()) settle();
  };
  return { writer, open, nextAttempt, letGo };
}

test('as many channels as there are lanes commit at once, each one batch at a time', async () => {
  const { writer, open, nextAttempt, letGo } = openStage();
  for (const channelId of [1, 2, 3]) writer.add(new ListedSource(channelId, 2));
  writer.drain();
  const run = writer.run(never);
  const lanes = [...open].map(([channelId, { lane }]) => `${channelId} on ${lane}`);
  assert.deepEqual(lanes, ['1 on 0', '2 on 1']);
  const third = nextAttempt();
  open.get(2)?.settle();
  await third;
  assert.deepEqual([...open.keys()], [1, 3]);
  assert.equal(open.get(3)?.lane, 1, 'the lane that became free');
  letGo();
  assert.equal(await run, true);
  assert.equal(writer.commits, 6);
});

test('one channel alone uses one lane', async () => {
  const lanes = new Set<number>();
  const writer = new ShardWriter({
    ...QUIET,
    append: async (_, lane) => {
      lanes.add(lane);
      return { outcome: 'committed', head: 0, archivedAtUs: 0 };
    },
    laneCount: 4,
  });
  writer.add(new ListedSource(1, 5));
  writer.drain();
  await writer.run(never);
  assert.deepEqual([...lanes], [0]);
});

test('a bug in one lane ends the run when the other lanes are done', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const other = new ListedSource(2, 1);
  const writer = new ShardWriter({
    ...QUIET,
    append: async ({ channelId }) => {
      if (channelId === 1) throw new TypeError('a bug');
      await promise;
      return { outcome: 'committed', head: 0, archivedAtUs: 0 };
    },
    laneCount: 2,
  });
  writer.add(new ListedSource(1, 1));
  writer.add(other);
  const run = writer.run(never);
  resolve();
  await assert.rejects(run, TypeError);
  assert.deepEqual(other.told, ['committed 1']);
});
