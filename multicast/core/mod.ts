// Floor 2: the protocol as machines without clock, socket or randomness of their own.

export type { Acknowledgement } from './acknowledger.ts';
export type { ArchiveState, ArchiveStatement } from './archived-account.ts';
export * from './authentication.ts';
export * from './counters.ts';
export * from './machine.ts';
export type { PacePolicy } from './pace.ts';
export type { SessionSnapshot } from './peer.ts';
export * from './publisher.ts';
export * from './publisher-options.ts';
export * from './receiver.ts';
export * from './receiver-event.ts';
export type { ReceiverOptions } from './receiver-options.ts';
export * from './rejection-report.ts';
export * from './repair-latency.ts';
export type { JoinMode } from './session-receiver.ts';
export * from './window-size.ts';
