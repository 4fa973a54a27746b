// The spool of an archiver: what was heard, on local disk, while the database is away.

export * from './event-format.ts';
export type { SpoolEntry } from './file-reader.ts';
export * from './spool.ts';
export * from './storage.ts';
