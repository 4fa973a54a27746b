// Floor 3: the configuration of a process. One schema, four sources, one frozen value.

export { apiUrl, CONFIG_FILE_DEFAULT, loadConfig, type LoadOptions } from './load.ts';
export { redact, redactUrl } from './redact.ts';
export { accessKeptMs, hasRetention, retentionOf } from './retention.ts';
export type { Config } from './schema.ts';
export { editDistance, SETTINGS, type Setting, type SettingSchema } from './settings.ts';
export { LOADER_VARIABLES, readYaml, type FlagValue } from './sources.ts';
