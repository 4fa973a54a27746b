// Which database a request reads: the replica if there is one that is fit, else the primary; and
// with others who read the same. One request reads one database, since the head of a channel
// belongs to the snapshot from which it came; when the replica fails it goes on with the primary,
// which has all that the replica had.

import {
  isOfServer,
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
  readonly counts: SharedReads['counts'];
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
  const useEither = async <Value>(work: (reads: ReadDatabase) => Promise<Value>) => {
    if (second === undefined || !replica?.isUsable) return work(primary.begin());
    try {
      const openOther = (): Required<ReadDatabase> => primary.begin();
      return await work(readWithFallback({ first: second.begin(), openOther, onFailure }));
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
