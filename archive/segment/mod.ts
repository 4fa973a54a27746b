// A segment of messages and its binary form, and nothing else. Pure, so that the machine that
// batches messages can use it without knowing the database; the rest of archive/ sends and fetches
// it.

export * from './binary-fields.ts';
export * from './builder.ts';
export * from './builder-pool.ts';
export * from './fields.ts';
export * from './types.ts';
