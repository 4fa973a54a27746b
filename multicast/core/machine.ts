// The shape that every protocol machine has, learned once and used for publisher, receiver and
// whatever comes later. A machine reads no clock, owns no socket and draws no randomness of its
// own.
//
//   handleX(…, nowMs)     something arrived: a datagram, a call of the application
//   handleTimeout(nowMs)  a deadline may have passed; calling too often is harmless
//   pollTransmit()        the next datagram to send, or undefined
//   pollEvent()           the next thing to tell the owner, or undefined
//   nextDeadlineMs        when to call handleTimeout at the latest; Infinity if never
//
// The law: one mutation, then drain both polls, then the next mutation. `nowMs` is monotonic and
// never goes backwards.

/** A datagram that a machine wants sent. Its bytes are never changed any more. */
export interface Transmit {
  readonly bytes: Uint8Array;
  readonly address: string;
  readonly port: number;
}

/** Where a datagram came from. Says nothing about who sent it: peers are told apart by TSI. */
export interface Remote {
  readonly address: string;
  readonly port: number;
}

/** The doors through which the driver runs a machine. */
export interface Machine {
  handleDatagram(bytes: Uint8Array, remote: Remote, nowMs: number): void;
  handleTimeout(nowMs: number): void;
  pollTransmit(): Transmit | undefined;
  readonly nextDeadlineMs: number;
}
