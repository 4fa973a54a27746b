// What the archivers of the same channels say of themselves, and what follows from it: who is to
// write, and whether this one should let go. A hint like everything that is read here; whoever is
// wrong, the fence keeps them apart.

import {
  announceCandidate,
  type ArchiveDatabase,
  type Candidate,
  readCandidates,
  withdrawCandidate,
} from '#archive/mod.ts';
import type { RecorderCounters } from './recorder-options.ts';
import { deafnessMs, healthyOf, preferredOf } from './preference.ts';

/** A channel that is heard here. */
export interface Candidacy {
  readonly channel: string;
  readonly channelId: number;
  readonly recorder: {
    /** How long nothing of the channel was heard. */
    silentMs(): number;
    readonly counters: Pick<RecorderCounters, 'receivedPosition' | 'spooledPosition'>;
  };
}

/** One that hears nothing lets go by itself; this is for one that does not. */
const OVERRULED_AFTER_MS = 12_000;

/** The candidates of the channels of one shard, as they were last read. */
export class Candidacies {
  readonly #database: ArchiveDatabase;
  readonly #holder: string;
  #candidates = new Map<number, Candidate[]>();

  /** `holder`: the name of this archiver. */
  constructor(database: ArchiveDatabase, holder: string) {
    this.#database = database;
    this.#holder = holder;
  }

  /** Says that this archiver is there and how far it is, and learns who else is. */
  async refresh(places: readonly Candidacy[]): Promise<void> {
    const own = places.map(({ channelId, recorder }) => {
      const { receivedPosition, spooledPosition } = recorder.counters;
      return { channelId, silentMs: recorder.silentMs(), receivedPosition, spooledPosition };
    });
    await announceCandidate(this.#database, this.#holder, own);
    const channelIds = places.map(({ channelId }) => channelId);
    const found = await readCandidates(this.#database, channelIds);
    this.#candidates = Map.groupBy(found, ({ channelId }) => channelId);
  }

  /** This archiver stops. */
  async withdraw(places: readonly Candidacy[]): Promise<void> {
    const channelIds = places.map(({ channelId }) => channelId);
    await withdrawCandidate(this.#database, this.#holder, channelIds);
  }

  /** Who is to write, of those that are there and hear, `except` one; undefined if nobody is. */
  preferred({ channel, channelId }: Candidacy, except?: string): string | undefined {
    const healthy = healthyOf(this.#of(channelId)).map(({ holder }) => holder);
    return preferredOf(
      channel,
      healthy.filter((holder) => holder !== except),
    );
  }

  /** Whether this archiver hears nothing of the channel while another does. */
  isDeaf({ channelId }: Candidacy): boolean {
    const candidates = this.#of(channelId);
    const isHealthy = healthyOf(candidates).some(({ holder }) => holder === this.#holder);
    return candidates.some(({ holder }) => holder === this.#holder) && !isHealthy;
  }

  /** Whether `holder` has been deaf for so long that it is not going to let go. */
  isOverruled({ channelId }: Candidacy, holder: string): boolean {
    return deafnessMs(this.#of(channelId), holder) > OVERRULED_AFTER_MS;
  }

  #of(channelId: number): readonly Candidate[] {
    return this.#candidates.get(channelId) ?? [];
  }
}
