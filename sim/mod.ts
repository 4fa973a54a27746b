// The real protocol machines in one deterministic world: seeds instead of sleeps.

export * from './checker.ts';
export { FAULT_CLASSES } from './fault-plan.ts';
export type { FaultClass } from './fault-plan.ts';
export { withoutPrivateOptions } from './foreign.ts';
export { MATRIX_LOSSES, matrixLine } from './matrix-cell.ts';
export * from './network.ts';
export { runSwarm } from './swarm.ts';
export type { SwarmResult } from './swarm.ts';
export * from './world.ts';
