// Floor 4: the store. Channels, sessions, segments and losses in PostgreSQL: how they are written, read
// back and audited, and the embedded server for those who have none.

export * from './connect.ts';
export * from './database-types.ts';
export * from './embedded/mod.ts';
export * from './migrate.ts';
export * from './partitions.ts';
export * from './sqlstate.ts';
