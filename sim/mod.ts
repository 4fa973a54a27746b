// The real protocol machines in one deterministic world: seeds instead of sleeps.

export * from './checker.ts';
export * from './network.ts';
export * from './world.ts';
