// The real protocol machines in one deterministic world: seeds instead of sleeps.

export * from './checker.ts';
export * from './durable.ts';
export { FAULT_CLASSES } from './fault-plan.ts';
export type { FaultClass } from './fault-plan.ts';
export { withoutPrivateOptions } from './foreign.ts';
export { runJoins } from './joins.ts';
export type { JoinsResult } from './joins.ts';
export * from './matrix-cell.ts';
export { cellLine, matrixLine } from './matrix-text.ts';
export { fuzzSeeds } from './fuzz-seeds.ts';
export * from './fuzzer.ts';
export * from './network.ts';
export { playScenario } from './scenario.ts';
export type { Scenario, Stage, StagePublisher, StageReceiver } from './scenario.ts';
export { SCENARIOS } from './scenarios.ts';
export * from './simulated-stage.ts';
export { runSwarm } from './swarm.ts';
export type { SwarmResult } from './swarm.ts';
export * from './world.ts';
