// Floor 6: the replay API. History, completeness and the catalogue of the archive over HTTP.

export { AccessControl, type AccessOptions } from './access/access-control.ts';
export * from './app.ts';
export * from './contract.ts';
export * from './export/mod.ts';
export { API_LIMITS_DEFAULT, type ApiLimits } from './limits.ts';
export * from './server.ts';
export { payloadText } from './message-text.ts';
