// A cluster around one channel that is never left in peace: publishers restart and are killed, the
// archiver and the replay API are killed, PostgreSQL stands still or is slow to commit. Everything
// is real and on this host. Brought to rest, it says what there was to be known.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { sql } from 'kysely';
import { type Random, randomBelow, seededRandom, type SessionId } from '#base/mod.ts';
import { ChannelPublisher } from '#client/mod.ts';
import { type ApiProcess, startApiProcess } from './api-process.ts';
import { type Scene, setScene } from './archiving.ts';
import { type FragileServer, startFragileServer } from './fragile-server.ts';
import { type Gate, startDatabaseGate, startGate } from './gate.ts';
import { type KilledPublisher, startKilledPublisher } from './killed-publisher.ts';
import { checkLabels, publishLabelled } from './labelled-messages.ts';
import { LOOPBACK } from './multicast.ts';
import { until } from './until.ts';
import { type ArchiverProcess, startArchiverProcess } from './watched-archiver.ts';

/** How often what was done. */
export interface Disturbances {
  publisherRestarts: number;
  publisherKills: number;
  archiverKills: number;
  apiKills: number;
  databaseFreezes: number;
  slowCommits: number;
}

/** A session as the archive knows it in the end. */
export interface KnownSession {
  readonly watermark: number;
  /** What was ever declared lost of it, healed later or not; both ends included. */
  readonly lost: readonly { readonly first: number; readonly last: number }[];
}

/** Bytes of a message, or a few less. */
export const PAYLOAD_BYTES = 60;

const PUBLISHER = {
  interfaceAddress: LOOPBACK,
  packetBytesMax: 1_472,
  messageBytesMax: 10_000,
  // Some seconds: an archiver that is away for longer finds that messages are gone.
  windowPackets: 256,
  windowBytes: 1_048_576,
  rateBytesPerSec: 25_000_000,
  flushMs: 1,
  lingerMs: 500,
};
const PUBLISHERS = 2;
const PUBLISH_EVERY_MS = 10;
const BURST_MESSAGES_MAX = 20;
const ACCOUNTED_AT_FIRST = 200;
/** Longer than a subscriber waits for the archive. */
const TOO_LONG_MS = 6_500;
const REST_MS_MAX = 60_000;

interface Stage {
  readonly resources: AsyncDisposableStack;
  readonly server: FragileServer;
  readonly scene: Scene;
  readonly databaseGate: Gate & { readonly url: string };
  readonly apiGate: Gate;
  /** Where the API of the moment is. */
  readonly apiTarget: { readonly host: string; port: number };
}

/** A running cluster. Disposing ends all of it. */
export class DisturbedCluster implements AsyncDisposable {
  readonly disturbances: Disturbances = {
    publisherRestarts: 0,
    publisherKills: 0,
    archiverKills: 0,
    apiKills: 0,
    databaseFreezes: 0,
    slowCommits: 0,
  };
  /** When sessions began, by performance.now(), as far as somebody here knows them. */
  readonly begunAtMs: Map<SessionId, number> = new Map();
  readonly #stage: Stage;
  readonly #random: Random;
  readonly #over = new AbortController();
  readonly #closing: Promise<void>[] = [];
  #publishers: ChannelPublisher[] = [];
  #killed: KilledPublisher | undefined;
  #archiver: ArchiverProcess | undefined;
  #api: ApiProcess | undefined;
  #running: Promise<void>[] = [];

  private constructor(stage: Stage, seed: number) {
    this.#stage = stage;
    this.#random = seededRandom(seed);
  }

  /** Starts one; when this resolves, something is archived and the disturbances have begun. */
  static async open(seed: number): Promise<DisturbedCluster> {
    await using resources = new AsyncDisposableStack();
    const server = resources.use(await startFragileServer());
    const scene = resources.use(await setScene({ databaseUrl: server.url }));
    const databaseGate = resources.use(await startDatabaseGate(server.url));
    const apiTarget = { host: LOOPBACK, port: 0 };
    const apiGate = resources.use(await startGate(apiTarget));
    const stage = { server, scene, databaseGate, apiTarget, apiGate };
    const cluster = new DisturbedCluster({ ...stage, resources: resources.move() }, seed);
    try {
      await cluster.#begin();
      return cluster;
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
  }

  get scene(): Scene {
    return this.#stage.scene;
  }

  /** The replay API, whichever process it is at the moment. */
  get apiUrl(): string {
    return `http://${LOOPBACK}:${this.#stage.apiGate.port}`;
  }

  /**
   * Ends the disturbances and the publishers once everything that can be archived is; then every
   * session that the archive knows, as it will be from now on. To be called once.
   */
  async rest(): Promise<ReadonlyMap<SessionId, KnownSession>> {
    await this.#endDisturbances();
    const publishers = this.#publishers.splice(0);
    for (const publisher of publishers) await publishLabelled(publisher, PAYLOAD_BYTES);
    const isArchived = async (): Promise<boolean> => {
      const known = await this.#knownSessions();
      return publishers.every(
        ({ session, lastSequence }) => known.get(session)?.watermark === lastSequence,
      );
    };
    await until('what was published last is archived', isArchived, REST_MS_MAX).catch((cause) => {
      throw new Error(this.#archiver?.said.join('\n'), { cause });
    });
    await Promise.all(publishers.map((publisher) => publisher.close()));
    return this.#knownSessions();
  }

  /** Ends the archiver, and fails unless the archive is as it should be. */
  async judge(): Promise<void> {
    assert.equal(await this.#archiver?.stop(), 0, this.#archiver?.said.join('\n'));
    const { database, channel } = this.scene;
    await this.scene.audited();
    await checkLabels(database, channel);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#endDisturbances().catch(() => undefined);
    await Promise.all(this.#publishers.map((publisher) => publisher.close()));
    await this.#archiver?.[Symbol.asyncDispose]();
    await this.#api?.[Symbol.asyncDispose]();
    await this.#stage.resources.disposeAsync();
  }

  async #begin(): Promise<void> {
    await Promise.all([this.#startArchiver(), this.#replaceApi()]);
    for (let n = 0; n < PUBLISHERS; n += 1) this.#publishers.push(await this.#newPublisher());
    this.#killed = this.#newKilled();
    this.#repeat(PUBLISH_EVERY_MS, () => this.#publish());
    await this.scene.accounted(ACCOUNTED_AT_FIRST);
    this.#repeat(2_500, () => this.#restartPublisher());
    this.#repeat(10_000, () => this.#killPublisher());
    this.#repeat(8_000, () => this.#killArchiver());
    this.#repeat(8_000, async () => {
      await this.#replaceApi();
      this.disturbances.apiKills += 1;
    });
    this.#repeat(6_000, () => this.#freezeDatabase());
    this.#repeat(5_000, () => this.#slowCommits());
  }

  async #endDisturbances(): Promise<void> {
    this.#over.abort();
    await Promise.all(this.#running.splice(0));
    await this.#killed?.[Symbol.asyncDispose]();
    await Promise.all(this.#closing.splice(0));
  }

  /** Does `action` again and again, after waits around `everyMs`. */
  #repeat(everyMs: number, action: () => Promise<void>): void {
    const run = async (): Promise<void> => {
      for (;;) {
        await this.#pass(this.#random() * 2 * everyMs);
        if (this.#over.signal.aborted) return;
        await action();
      }
    };
    const running = run();
    running.catch(() => undefined);
    this.#running.push(running);
  }

  /** Lets time pass; none any more once the disturbances are over. */
  async #pass(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.#over.signal }).catch(() => undefined);
  }

  async #newPublisher(): Promise<ChannelPublisher> {
    const begunAtMs = performance.now();
    const publisher = await ChannelPublisher.open({ ...PUBLISHER, address: this.scene.address });
    this.begunAtMs.set(publisher.session, begunAtMs);
    return publisher;
  }

  #newKilled(): KilledPublisher {
    const publisher = { ...PUBLISHER, address: this.scene.address, source: 'killed' };
    const options = { publisher, everyMs: PUBLISH_EVERY_MS, payloadBytes: PAYLOAD_BYTES };
    return startKilledPublisher(options, this.#env());
  }

  async #publish(): Promise<void> {
    for (const publisher of this.#publishers) {
      const count = 1 + randomBelow(this.#random, BURST_MESSAGES_MAX);
      for (let n = 0; n < count; n += 1) await publishLabelled(publisher, PAYLOAD_BYTES);
    }
  }

  async #restartPublisher(): Promise<void> {
    const index = randomBelow(this.#random, this.#publishers.length);
    const next = await this.#newPublisher();
    const [over] = this.#publishers.splice(index, 1, next);
    if (over !== undefined) this.#closing.push(over.close());
    this.disturbances.publisherRestarts += 1;
  }

  async #killPublisher(): Promise<void> {
    await this.#killed?.[Symbol.asyncDispose]();
    this.disturbances.publisherKills += 1;
    this.#killed = this.#newKilled();
  }

  /** What is compiled once is kept for the processes that come after. */
  #env(): Readonly<Record<string, string>> {
    return { NODE_COMPILE_CACHE: join(this.#stage.server.homeDir, 'compiled') };
  }

  async #startArchiver(): Promise<void> {
    const { server, scene, databaseGate } = this.#stage;
    const config = {
      archiver: { name: 'archiver', shards: 1 },
      channels: [{ name: scene.channel, ...scene.address }],
      receiver: { repairTimeoutMs: 2_000 },
      faults: 'receive-loss=0.1',
    };
    const { homeDir } = server;
    const given = { homeDir, databaseUrl: databaseGate.url, config, env: this.#env() };
    // Without its database it ends, and whoever looks after it starts it again.
    do this.#archiver = await startArchiverProcess(given);
    while (!(await this.#archiver.records(scene.channel)));
  }

  async #killArchiver(): Promise<void> {
    const archiver = this.#archiver;
    assert.ok(archiver !== undefined && archiver.end === undefined, archiver?.said.join('\n'));
    await archiver.kill();
    this.disturbances.archiverKills += 1;
    await this.#pass(this.#random() * 1_000);
    await this.#startArchiver();
  }

  /** A process takes long to start on a busy machine: the next is ready before this one dies. */
  async #replaceApi(): Promise<void> {
    const { server, apiTarget } = this.#stage;
    const next = await startApiProcess(server.url, {}, this.#env());
    const over = this.#api;
    this.#api = next;
    if (over !== undefined) {
      await over[Symbol.asyncDispose]();
      await this.#pass(this.#random() < 0.1 ? TOO_LONG_MS : this.#random() * 1_500);
    }
    apiTarget.port = Number(new URL(next.url).port);
  }

  async #freezeDatabase(): Promise<void> {
    await using _frozen = await this.#stage.server.freeze();
    this.disturbances.databaseFreezes += 1;
    await this.#pass(this.#random() < 0.05 ? TOO_LONG_MS : this.#random() * 1_500);
  }

  async #slowCommits(): Promise<void> {
    const { state } = this.#stage.databaseGate;
    state.delayed = 'COMMIT';
    state.delayMs = 1 + this.#random() * 500;
    this.disturbances.slowCommits += 1;
    await this.#pass(2_000);
    state.delayMs = 0;
  }

  async #knownSessions(): Promise<Map<SessionId, KnownSession>> {
    const { rows } = await sql<KnownSession & { readonly session: SessionId }>`
      SELECT lpad(to_hex(session_id), 16, '0') AS session, watermark,
        coalesce((SELECT json_agg(json_build_object(
                    'first', first_sequence, 'last', last_sequence))
                  FROM losses
                  WHERE losses.channel_id = sessions.channel_id
                    AND losses.session_id = sessions.session_id), '[]') AS lost
      FROM sessions`.execute(this.scene.database);
    return new Map(rows.map(({ session, watermark, lost }) => [session, { watermark, lost }]));
  }
}
