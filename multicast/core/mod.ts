// Floor 2: the protocol as machines without clock, socket or randomness of their own.

export * from './authentication.ts';
export * from './counters.ts';
export * from './machine.ts';
export type { PacePolicy } from './pace.ts';
export type { SessionSnapshot } from './peer.ts';
export * from './publisher.ts';
export * from './receiver.ts';
export * from './receiver-event.ts';
export * from './rejection-report.ts';
export * from './repair-latency.ts';
export type { JoinMode } from './session-receiver.ts';
export * from './window-size.ts';
