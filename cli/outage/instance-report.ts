// What the instance of `demo outage` tells the demo, and what it remembers over its own death.

/** What the instance has had of the one session, up to a moment. */
export interface InstanceAccount {
  /** Messages, each counted once. */
  readonly count: number;
  /** The sequence that comes next. */
  readonly next: number;
  /** Messages that came a second time, or before their turn. */
  readonly misplacedCount: number;
  /** Messages that were told as lost. */
  readonly lostCount: number;
}

/** What stands in its file: where it was, and what it had by then. */
export interface SavedInstance {
  readonly cursor: string;
  readonly account: InstanceAccount;
}

/** What it tells several times a second, and whenever it gets live. */
export interface InstanceReport {
  readonly account: InstanceAccount;
  readonly isLive: boolean;
  /** Milliseconds since its process began, when it subscribed. */
  readonly subscribedAtMs: number;
  /** Messages out of the archive until it was live for the first time. */
  readonly replayedCount: number;
  /** Milliseconds since its process began, when the first and the last of these came. */
  readonly firstReplayedAtMs: number | undefined;
  readonly lastReplayedAtMs: number | undefined;
  /** The same, when it was live for the first time. */
  readonly liveAtMs: number | undefined;
}
