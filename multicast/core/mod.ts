// Floor 2: the protocol as machines without clock, socket or randomness of their own.

export * from './counters.ts';
export * from './machine.ts';
export * from './publisher.ts';
export * from './receiver.ts';
export * from './receiver-event.ts';
export type { JoinMode } from './session-receiver.ts';
export * from './window-size.ts';
