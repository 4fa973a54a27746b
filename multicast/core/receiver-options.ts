// What the owner of a receiver says about it: which channel, how long things may take, and what is
// known of sessions from before.

import type { ChannelAddress, Random, SessionId } from '#base/mod.ts';
import type { Authenticator } from './authentication.ts';
import type { ResumePoint } from './receiver-event.ts';
import type { JoinMode } from './session-receiver.ts';

/** What a receiver is made of. */
export interface ReceiverOptions {
  readonly address: ChannelAddress;
  readonly join: JoinMode;
  readonly random: Random;
  readonly messageBytesMax: number;
  /** How long a missing packet is asked for before it is given up. */
  readonly repairTimeoutMs: number;
  /** How long a publisher may be silent before its session counts as expired. */
  readonly sourceExpiryMs: number;
  /**
   * Where to go on with a session that this receiver does not know, or that it is over for good. A
   * receiver remembers a bounded number of sessions; an owner that must not be told anything twice
   * remembers them all.
   */
  readonly recall?: (session: SessionId) => ResumePoint | 'finished' | undefined;
  /** Seals what leaves and judges what arrives; without one, nothing is sealed or judged. */
  readonly authenticator?: Authenticator | undefined;
  /**
   * The same for a publisher of another implementation, which names no session: the last one with
   * this TSI, unless it has ended with FIN.
   */
  readonly recallForeign?: (tsi: string) => ResumePoint | undefined;
  /** Publishers are told what is archived; see `acknowledge`. */
  readonly acknowledges?: boolean;
}
