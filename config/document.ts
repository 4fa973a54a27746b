// The table of docs/configuration.md, made from the schema so that neither can know a setting that the other
// does not. Pure.

import { SETTINGS, type Setting, type SettingSchema } from './settings.ts';

/** One row per setting: name, environment variable, type, default, meaning. */
export function renderSettingsTable(): string {
  const head = '| Setting | Environment | Value | Default | Meaning |\n|---|---|---|---|---|\n';
  return head + SETTINGS.map(renderRow).join('');
}

function renderRow({ name, schema }: Setting): string {
  const env = schema.env === undefined ? '' : `\`${schema.env}\``;
  const cells = [`\`${name}\``, env, renderType(schema), renderDefault(schema)];
  return `| ${[...cells, schema.description ?? ''].join(' | ')} |\n`;
}

function renderType(schema: SettingSchema): string {
  if (schema.anyOf !== undefined) return schema.anyOf.map(renderType).join(' or ');
  if (schema.enum !== undefined) return schema.enum.map((word) => `\`${word}\``).join(', ');
  if (schema.const !== undefined) return `\`${String(schema.const)}\``;
  if (schema.type === 'integer') return `${schema.minimum}–${schema.maximum}`;
  if (schema.type === 'array') return 'list';
  return schema.type === 'boolean' ? '`true`, `false`' : 'text';
}

function renderDefault({ default: value }: SettingSchema): string {
  if (value === undefined) return '';
  return `\`${typeof value === 'string' && value !== '' ? value : JSON.stringify(value)}\``;
}
