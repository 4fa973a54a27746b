// Floor 3: the machines' way to the network and to time. Sockets, the loop that drives a machine,
// the clocks, and faults on purpose.

export * from './authentication-keys.ts';
export * from './capture.ts';
export * from './clock.ts';
export * from './driver.ts';
export * from './fan-out.ts';
export * from './gate.ts';
export * from './hmac-authenticator.ts';
export * from './interface.ts';
export * from './key-ring.ts';
export * from './loss-injector.ts';
export * from './nak-relay.ts';
export * from './socket.ts';
export * from './transport.ts';
export type { UnicastOptions } from './unicast.ts';
export * from './transport-counters.ts';
