// The embedded PostgreSQL: a server of our own for a run that was given none.

export { attachEmbeddedPostgres } from './attach.ts';
export { startEmbeddedPostgres } from './start.ts';
export type { EmbeddedPostgres, EmbeddedPostgresOptions } from './start.ts';
