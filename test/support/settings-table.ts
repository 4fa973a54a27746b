// The table of docs/configuration.md, made from the schema so that neither can know a setting that
// the other does not. Pure.

import { SETTINGS, type Setting, type SettingSchema } from '#config/mod.ts';

const HEAD = ['Setting', 'Environment', 'Value', 'Default', 'Meaning'];

/** A Markdown table with one row per setting, its columns padded as the formatter leaves them. */
export function renderSettingsTable(): string {
  const rows = [HEAD, ...SETTINGS.map(renderRow)];
  const widths = HEAD.map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const [head, ...body] = rows.map((row) => row.map((cell, index) => cell.padEnd(widths[index])));
  const rule = widths.map((width) => '-'.repeat(width));
  return [head, rule, ...body].map((row) => `| ${row.join(' | ')} |\n`).join('');
}

function renderRow({ name, schema }: Setting): string[] {
  const env = schema.env === undefined ? '' : `\`${schema.env}\``;
  const meaning = schema.description ?? '';
  return [`\`${name}\``, env, renderType(schema), renderDefault(schema), meaning];
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
