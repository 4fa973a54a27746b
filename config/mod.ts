// Floor 3: the configuration of a process. One schema, four sources, one frozen value.

export { renderSettingsTable } from './document.ts';
export { apiUrl, CONFIG_FILE_DEFAULT, loadConfig, type LoadOptions } from './load.ts';
export { redact, redactUrl } from './redact.ts';
export type { Config, StaticChannel } from './schema.ts';
export { SETTINGS, type Setting, type SettingSchema } from './settings.ts';
export { LOADER_VARIABLES, type FlagValue } from './sources.ts';
