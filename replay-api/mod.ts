// Floor 6: the replay API. History, completeness and the catalogue of the archive over HTTP.

export * from './app.ts';
export * from './contract.ts';
export * from './export/mod.ts';
export * from './server.ts';
export { payloadText } from './message-text.ts';
