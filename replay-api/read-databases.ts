// Which database a request reads: the replica if there is one that is fit, else the primary; and
// with others who read the same. One request reads one database, since the head of a channel
// belongs to the snapshot from which it came; when the replica fails it goes on with the primary,
// which has all that the replica had.

import {
  type Channel,
  type ChannelNow,
  isOfServer,
  lookAgain,
  type OpenDatabase,
  type ReadDatabase,
  readWithFallback,
  type Replica,
  type SharedReads,
  shareReads,
} from '#archive/mod.ts';
import { BackcastError, type ErrorCode } from '#base/mod.ts';

/** The databases of one API. Disposing lets go of them; they stay open. */
export interface ReadDatabases extends Disposable {
  /**
   * What `work` makes of the database that it is given. Where the replica does not know what the
   * primary may, it is called once more, with the primary: it must not have answered before. A
   * replica that fails, then or later, is left for the primary without a word. That the archive
   * went back is found by the primary alone, asked by nobody else.
   */
  use<Value>(work: (reads: ReadDatabase) => Promise<Value>): Promise<Value>;
  /** The primary, for one who begins to read now and must not be behind what he was told. */
  primary(): ReadDatabase;
  /** `channel` as it is now, on the replica if that has `position`, else on the primary. */
  through(channel: Channel, position: number): Promise<Begun>;
  readonly counts: SharedReads['counts'];
}

/** A channel, and the database to read it from. */
export interface Begun {
  readonly opened: ReadDatabase;
  readonly channel: ChannelNow;
}

/** What it reads from. */
export interface ReadDatabasesOptions {
  readonly database: OpenDatabase;
  readonly replica: Replica | undefined;
  readonly sharedBytesMax: number;
}

/** What a replica may lack that the primary has. */
const PERHAPS_OF_THE_REPLICA: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'BACKCAST_CHANNEL_UNKNOWN',
  'BACKCAST_SESSION_UNKNOWN',
  'BACKCAST_HISTORY_GONE',
]);

/** Shared reads of `database`, and of `replica` while it is usable. */
export function readDatabases(options: ReadDatabasesOptions): ReadDatabases {
  const { database, replica, sharedBytesMax } = options;
  const primary = shareReads(database, sharedBytesMax);
  const second = replica === undefined ? undefined : shareReads(replica.opened, sharedBytesMax);
  const onFailure = (failure: BackcastError): void => {
    if (isOfServer(failure)) replica?.lost(failure);
  };
  const openOther = (): Required<ReadDatabase> => primary.begin();
  const follower = (): ReadDatabase | undefined => {
    if (second === undefined || replica?.isUsable !== true) return undefined;
    return readWithFallback({ first: second.begin(), openOther, onFailure });
  };
  const useEither = async <Value>(work: (reads: ReadDatabase) => Promise<Value>) => {
    const first = follower();
    if (first === undefined) return work(primary.begin());
    try {
      return await work(first);
    } catch (error) {
      if (!(error instanceof BackcastError) || !PERHAPS_OF_THE_REPLICA.has(error.code)) {
        throw error;
      }
      return work(primary.begin());
    }
  };
  return {
    use: async (work) => {
      try {
        return await useEither(work);
      } catch (error) {
        // A replica, or an answer that was shared, may only be a moment behind what he has seen.
        const isRewound =
          error instanceof BackcastError && error.code === 'BACKCAST_ARCHIVE_REWOUND';
        if (!isRewound) throw error;
        return work(database);
      }
    },
    primary: () => primary.begin(),
    through: async (named, position) => {
      const first = follower();
      if (first !== undefined) {
        const channel = await lookAgain(first, named);
        if (channel.archivedThrough >= position) return { opened: first, channel };
      }
      const opened = primary.begin();
      return { opened, channel: await lookAgain(opened, named) };
    },
    get counts() {
      const [one, other] = [primary.counts, second?.counts];
      return {
        asked: one.asked + (other?.asked ?? 0),
        started: one.started + (other?.started ?? 0),
        segmentBytes: one.segmentBytes + (other?.segmentBytes ?? 0),
      };
    },
    [Symbol.dispose]: () => {
      primary[Symbol.dispose]();
      second?.[Symbol.dispose]();
    },
  };
}
