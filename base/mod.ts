// Floor 0: values that every other floor shares. Touches no clock, socket, file or randomness.

export * from './assert.ts';
export * from './brand.ts';
export * from './channel.ts';
export * from './error-registry.ts';
export * from './errors.ts';
export * from './ip-address.ts';
export * from './limits.ts';
export * from './loss.ts';
export * from './member.ts';
export * from './quantity.ts';
export * from './random.ts';
export * from './scope.ts';
export * from './sequence.ts';
export * from './session.ts';
export * from './time.ts';
