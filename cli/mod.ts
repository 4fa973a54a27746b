// Floor 9: the command line. The process starts in main.ts; this door is for what looks at the
// command line from outside, such as tests.

export { addressOf } from './channel-argument.ts';
export { EXIT_CODES, outcomeOf } from './exit-codes.ts';
export { createProgram } from './program.ts';
export { openCommandRegistry } from './registry.ts';
export { describeError } from './report.ts';
export { renderTable } from './table.ts';
