// Who writes the channels of a shard: this archiver or another. All of them are heard, whoever
// writes; of each, one archiver holds the lease. Keeps the leases that are held, watches those that
// are not, takes them when they are free, and lets what the others declared lost be healed.
//
//   standby ──► leading   the lease was given back, has ended, or its holder is gone or deaf
//   leading ──► standby   the lease was taken, the archive has gone back, or another is to write
//
// What it reads is a hint, always too old. Whether this archiver may write is decided by the row of
// the lease, in the transaction that writes (archive/append).

import { setTimeout as delay } from 'node:timers/promises';
import {
  acquireLease,
  type ArchiveDatabase,
  type ChannelState,
  endWriter,
  findForeignSessions,
  findOffered,
  findSessions,
  findUnclaimed,
  loadSessions,
  offerHeals,
  readChannelStates,
  readHealOffers,
  readOfferedBytes,
  readStandingLosses,
  releaseLease,
  removeHealOffers,
  renewLeases,
  type Takeover,
} from '#archive/mod.ts';
import type { Framing } from '#base/mod.ts';
import { monotonicMs } from '#multicast/udp/mod.ts';
import { Candidacies } from './candidacy.ts';
import type { ChannelRecorder } from './channel-recorder.ts';
import { OFFERED_BYTES_MAX } from './heal-offering.ts';
import { planHeals } from './healing.ts';

/** What it needs from the shard. */
export interface LeadershipOptions {
  readonly database: ArchiveDatabase;
  /** Name of this archiver. */
  readonly holder: string;
  /** The recorder leads, or has ceased to. */
  readonly onRole: (place: Place) => void;
  readonly log: (level: 'info' | 'warn', message: string, fields: Record<string, unknown>) => void;
}

/** A channel that is heard here. */
export interface Place {
  readonly channel: string;
  readonly channelId: number;
  readonly framing: Framing;
  readonly recorder: ChannelRecorder;
  /** The epoch under which this archiver writes; undefined on standby. */
  epoch: number | undefined;
  /** The last epoch that this archiver had. */
  usedEpoch: number;
  /** Losses declared before this position have been seen. */
  seenPosition: number;
  /** Who writes, as far as is known, and since when that one's name is not claimed. */
  leader: string | undefined;
  unclaimedSinceMs: number;
  /** Since when the channel could be taken, or this archiver writes it; Infinity if neither. */
  freeSinceMs: number;
  leadingSinceMs: number;
}

/** A place for a channel that is heard from `head` on, and written under `epoch`, if any. */
export function newPlace({
  head,
  epoch,
  ...rest
}: Pick<Place, 'channel' | 'channelId' | 'framing' | 'recorder' | 'epoch' | 'leader'> & {
  readonly head: number;
}): Place {
  return {
    ...rest,
    epoch,
    usedEpoch: epoch ?? 0,
    seenPosition: head,
    unclaimedSinceMs: Number.POSITIVE_INFINITY,
    freeSinceMs: Number.POSITIVE_INFINITY,
    leadingSinceMs: monotonicMs(),
  };
}

/** How long a lease stands; it is renewed three times within. A frozen holder is replaced then. */
export const LEASE_MS = 8_000;
const WATCH_MS = 400;
/** A name that is claimed again within this was never gone: the server may have been restarted. */
const UNCLAIMED_MS = 900;
const REFRESH_MS = 2_000;
const OFFERS_AT_ONCE = 512;
/** Who is preferred has so long to take a channel that is free before another does. */
const PREFERENCE_MS = 1_200;
/** A channel is not handed on more often: each time costs its readers a moment. */
const HANDOVER_MS_MIN = 30_000;

/** The leases of one shard. */
export class Leadership {
  readonly #options: LeadershipOptions;
  readonly #places = new Map<string, Place>();
  readonly #candidacies: Candidacies;
  readonly #stopping = new AbortController();
  #refreshedAtMs = Number.NEGATIVE_INFINITY;
  #isRenewing = false;

  constructor(options: LeadershipOptions) {
    this.#options = options;
    this.#candidacies = new Candidacies(options.database, options.holder);
  }

  /** Takes in a channel that is heard from now on. */
  add(place: Place): void {
    this.#places.set(place.channel, place);
  }

  /** Watches and renews until `stop`. What the database does not answer is asked again. */
  async run(): Promise<void> {
    const { signal } = this.#stopping;
    const renewal = setInterval(() => void this.#renew(), LEASE_MS / 3);
    while (!signal.aborted) {
      await this.#look().catch(() => undefined);
      await delay(WATCH_MS, undefined, { signal }).catch(() => undefined);
    }
    clearInterval(renewal);
  }

  /** Takes no lease any more, and does not renew those it has. */
  stop(): void {
    this.#stopping.abort();
  }

  /** Gives back what is held, and is no candidate any more. */
  async release(): Promise<void> {
    await this.#candidacies.withdraw([...this.#places.values()]).catch(() => undefined);
    for (const { channelId, epoch } of this.#places.values()) {
      if (epoch === undefined) continue;
      await releaseLease(this.#options.database, { channelId, epoch }).catch(() => undefined);
    }
  }

  /** A batch of this epoch was refused. */
  fenced(channel: string, epoch: number, isRolledBack: boolean): void {
    const place = this.#places.get(channel);
    if (place?.epoch === epoch) this.#stand(place, isRolledBack ? 'rolled_back' : 'taken');
    else if (place !== undefined) this.#options.onRole(place);
  }

  async #look(): Promise<void> {
    await this.#watch();
    await this.#refresh();
    await this.#takeOffers();
    await this.#makeOffers();
  }

  async #watch(): Promise<void> {
    const { database } = this.#options;
    const standing = this.#standing();
    const asked = standing.map(({ channelId, seenPosition, recorder }) => {
      return { channelId, afterPosition: seenPosition, sessions: recorder.keptSessions() };
    });
    const states = await readChannelStates(database, asked);
    const byId = new Map(states.map((state) => [state.channelId, state]));
    const holders = new Set(states.map(({ holder }) => holder).filter((it) => it !== null));
    const unclaimed = new Set(await findUnclaimed(database, [...holders]));
    const takes: Promise<void>[] = [];
    for (const place of standing) {
      const state = byId.get(place.channelId);
      if (state === undefined || place.epoch !== undefined) continue;
      await this.#adoptForeign(place);
      if (state.head >= place.seenPosition) place.recorder.handleArchived(state);
      place.seenPosition = state.head;
      const takeover = this.#judge(place, state, unclaimed);
      if (takeover !== undefined) takes.push(this.#take(place, state, takeover));
    }
    await Promise.allSettled(takes);
  }

  /** How the channel is to be taken; undefined if not, or not yet. */
  #judge(place: Place, state: ChannelState, unclaimed: ReadonlySet<string>): Takeover | undefined {
    const { holder } = state;
    if (holder !== null && holder !== place.leader && holder !== this.#options.holder)
      this.#options.log('info', 'standing by', { channel: place.channel, holder });
    place.leader = holder ?? place.leader;
    const takeover = this.#freedom(place, state, unclaimed);
    const nowMs = monotonicMs();
    if (takeover === undefined) place.freeSinceMs = Number.POSITIVE_INFINITY;
    else place.freeSinceMs = Math.min(place.freeSinceMs, nowMs);
    const gone = holder === this.#options.holder ? undefined : place.leader;
    const isPreferred = this.#candidacies.preferred(place, gone) === this.#options.holder;
    return isPreferred || nowMs - place.freeSinceMs >= PREFERENCE_MS ? takeover : undefined;
  }

  /** Whether and how the channel could be taken. */
  #freedom(
    place: Place,
    { holder, epoch, isExpired }: ChannelState,
    unclaimed: ReadonlySet<string>,
  ): Takeover | undefined {
    const nowMs = monotonicMs();
    const { usedEpoch } = place;
    if (holder === null || isExpired || holder === this.#options.holder) return { usedEpoch };
    if (!unclaimed.has(holder)) place.unclaimedSinceMs = Number.POSITIVE_INFINITY;
    else place.unclaimedSinceMs = Math.min(place.unclaimedSinceMs, nowMs);
    const isGone = nowMs - place.unclaimedSinceMs >= UNCLAIMED_MS;
    const isFree = isGone || this.#candidacies.isOverruled(place, holder);
    return isFree ? { usedEpoch, overruled: { holder, epoch } } : undefined;
  }

  async #take(place: Place, state: ChannelState, takeover: Takeover): Promise<void> {
    const { database, holder, log } = this.#options;
    const { channel, channelId, recorder } = place;
    const result = await acquireLease(database, channelId, holder, LEASE_MS, takeover).catch(
      async (error: unknown) => {
        if (state.isExpired && state.holder !== null) await endWriter(database, state.holder);
        throw error;
      },
    );
    if (result.outcome === 'held') return;
    const { epoch, head, commits } = result;
    place.usedEpoch = epoch;
    place.seenPosition = Math.min(place.seenPosition, head);
    await this.#adoptForeign(place);
    await this.#catchUp(place);
    const sessions = await this.#sessionsOf(place);
    if (this.#stopping.signal.aborted) return;
    place.epoch = epoch;
    place.leader = holder;
    place.leadingSinceMs = monotonicMs();
    place.freeSinceMs = Number.POSITIVE_INFINITY;
    recorder.lead({ epoch, head, commits, sessions });
    this.#options.onRole(place);
    log('info', 'recording', { channel, head, epoch, after: state.holder ?? undefined });
  }

  /** A foreign source has the session in the archive that the first to write it made up. */
  async #adoptForeign({ channelId, recorder }: Place): Promise<void> {
    const tsis = recorder.foreign.strangers().map(({ tsi }) => tsi);
    if (tsis.length === 0) return;
    recorder.foreign.adopt(await findForeignSessions(this.#options.database, channelId, tsis));
  }

  /** Nobody else writes any more: what they declared lost to the end is compared. */
  async #catchUp({ channelId, seenPosition, recorder }: Place): Promise<void> {
    const asked = { channelId, afterPosition: seenPosition, sessions: recorder.keptSessions() };
    const [state] = await readChannelStates(this.#options.database, [asked]);
    if (state !== undefined) recorder.handleArchived(state);
  }

  async #sessionsOf({ channelId, recorder }: Place) {
    const { database } = this.#options;
    const sessions = await loadSessions(database, channelId);
    const loaded = new Set(sessions.map(({ session }) => session));
    const others = [...recorder.keptSessions(true)].filter((session) => !loaded.has(session));
    return [...(await findSessions(database, channelId, others)), ...sessions];
  }

  #stand(place: Place, reason: 'taken' | 'rolled_back' | 'given'): void {
    const isRolledBack = reason === 'rolled_back';
    const { channel, recorder } = place;
    place.epoch = undefined;
    place.unclaimedSinceMs = Number.POSITIVE_INFINITY;
    recorder.stand(isRolledBack);
    place.seenPosition = recorder.settledPosition;
    this.#options.onRole(place);
    const { log } = this.#options;
    if (reason === 'given') return;
    if (isRolledBack) {
      const hint =
        'another server has taken over that lacks the last commits; what is kept here is written ' +
        'again, and what is not is declared lost';
      log('warn', 'the archive has gone back', { channel, hint });
    } else log('info', 'another archiver writes the channel now', { channel });
  }

  /** Channels that are taken while this runs are not among those that were asked for. */
  async #renew(): Promise<void> {
    if (this.#isRenewing) return;
    this.#isRenewing = true;
    const { database, holder } = this.#options;
    const held = this.#leading().map((place) => {
      const { archivedPosition, archivedCommits } = place.recorder;
      return { place, epoch: place.epoch, archivedPosition, archivedCommits };
    });
    try {
      const leases = held.map(({ place: { channelId }, epoch }) => ({
        channelId,
        epoch: epoch ?? 0,
      }));
      const renewed = await renewLeases(database, leases, holder, LEASE_MS);
      const byId = new Map(renewed.map((lease) => [lease.channelId, lease]));
      for (const { place, epoch, archivedPosition, archivedCommits } of held) {
        const lease = byId.get(place.channelId);
        const isBehind = (lease?.head ?? 0) < archivedPosition;
        const isRolledBack = isBehind || (lease?.commits ?? 0) < archivedCommits;
        if (place.epoch === epoch && (lease === undefined || isRolledBack))
          this.#stand(place, lease === undefined ? 'taken' : 'rolled_back');
      }
    } catch {
      // The writer notices and reports a database that is away; the epoch protects the archive
      // meanwhile.
    } finally {
      this.#isRenewing = false;
    }
  }

  /** Says that this archiver is there, and gives away what another is to write. */
  async #refresh(): Promise<void> {
    const nowMs = monotonicMs();
    if (nowMs - this.#refreshedAtMs < REFRESH_MS) return;
    this.#refreshedAtMs = nowMs;
    await this.#candidacies.refresh([...this.#places.values()]);
    for (const place of this.#leading()) await this.#considerHandover(place);
  }

  /** Lets go of a channel that another is to write, if that one is there and hears. */
  async #considerHandover(place: Place): Promise<void> {
    const { database, holder, log } = this.#options;
    const { channel, channelId, epoch, recorder } = place;
    const to = this.#candidacies.preferred(place);
    const isDeaf = this.#candidacies.isDeaf(place);
    const isSettled = monotonicMs() - place.leadingSinceMs >= HANDOVER_MS_MIN;
    if (to === undefined || to === holder || epoch === undefined) return;
    if (!isDeaf && !isSettled) return;
    const isReleased = await releaseLease(database, { channelId, epoch });
    if (place.epoch !== epoch) return;
    if (!isReleased) return this.#stand(place, 'taken');
    recorder.handedOver();
    this.#stand(place, 'given');
    const message = isDeaf ? 'nothing is heard here: handed over' : 'handed over';
    log(isDeaf ? 'warn' : 'info', message, { channel, to });
  }

  async #takeOffers(): Promise<void> {
    const leading = this.#leading().filter(({ recorder }) => recorder.mayHeal);
    const channelIds = leading.map(({ channelId }) => channelId);
    const offered = new Set(await findOffered(this.#options.database, channelIds));
    for (const place of leading) if (offered.has(place.channelId)) await this.#heal(place);
  }

  async #heal(place: Place): Promise<void> {
    const { database, log } = this.#options;
    const { channel, channelId, recorder, epoch, framing } = place;
    const offers = await readHealOffers(database, channelId, OFFERS_AT_ONCE);
    const sessions = [...new Set(offers.map(({ session }) => session))];
    const losses = await readStandingLosses(database, channelId, sessions);
    const blocks = planHeals(offers, losses, framing);
    if (place.epoch !== epoch || !recorder.mayHeal) return;
    if (blocks.length === 0) return await removeHealOffers(database, channelId, offers);
    recorder.heal(blocks);
    const messageCount = blocks.reduce((sum, { messages }) => sum + messages.messageCount, 0);
    const by = [...new Set(blocks.map((block) => block.by))];
    log('info', 'lost messages are healed', { channel, messageCount, by });
  }

  async #makeOffers(): Promise<void> {
    const { database, holder } = this.#options;
    for (const { channelId, recorder } of this.#places.values()) {
      const { offering } = recorder;
      if (offering.isEmpty) continue;
      const offeredBytes = await readOfferedBytes(database, channelId, holder);
      const offers = offering.take(Math.max(0, OFFERED_BYTES_MAX - offeredBytes));
      if (offers.length === 0) continue;
      await offerHeals(database, channelId, offers).catch((error: unknown) => {
        offering.giveBack(offers);
        throw error;
      });
    }
  }

  #standing(): Place[] {
    return [...this.#places.values()].filter(({ epoch }) => epoch === undefined);
  }

  #leading(): Place[] {
    return [...this.#places.values()].filter(({ epoch }) => epoch !== undefined);
  }
}
