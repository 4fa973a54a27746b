// One value against its setting: whether it fits, and if not, what would have. Pure.

import { Value } from 'typebox/value';
import { memberOf, unknownKey, type SettingSchema } from './settings.ts';

const SHOWN_CHARACTERS_MAX = 60;

/** What is wrong with `value` for the setting called `name`; an empty list if it fits. */
export function checkValue(name: string, value: unknown, schema: SettingSchema): string[] {
  if (schema.type === 'array' && Array.isArray(value) && isListOfSections(schema))
    return value.flatMap((entry, index) => checkSection(`${name}[${index}]`, entry, schema.items));
  if (Value.Check(schema, value)) return [];
  const shown = schema.secret === true ? 'the value' : show(value);
  return [`\`${name}\`: ${shown} is not ${expectation(schema)}`];
}

/** What a value of `schema` looks like, as the end of "… is not …". */
export function expectation(schema: SettingSchema): string {
  if (schema.anyOf !== undefined) return schema.anyOf.map(expectation).join(' or ');
  if (schema.enum !== undefined) return `one of ${schema.enum.join(', ')}`;
  if (schema.const !== undefined) return String(schema.const);
  if (schema.type === 'integer') return `a whole number ${bounds(schema)}`;
  if (schema.type === 'boolean') return 'true or false';
  if (schema.type === 'array') return listExpectation(schema.items);
  return schema.form ?? 'a text';
}

function listExpectation(items: SettingSchema['items']): string {
  if (items === undefined || !('type' in items)) return 'two numbers';
  return items.form === undefined ? 'a list of texts' : `a list of texts, each ${items.form}`;
}

/**
 * `text`, which came from the environment or a flag, as the type that `schema` wants; as it is if
 * it cannot be.
 */
export function coerce(text: string, schema: SettingSchema): unknown {
  const types = schema.anyOf?.map(({ type }) => type) ?? [schema.type];
  if (types.includes('integer') && /^-?\d{1,15}$/.test(text)) return Number(text);
  if (types.includes('boolean') && (text === 'true' || text === 'false')) return text === 'true';
  if (types.includes('array')) return text.split(',').map((word) => word.trim());
  return text;
}

/** `value` with the defaults of the members that it leaves out. */
export function withDefaults(value: unknown, schema: SettingSchema): unknown {
  if (!isListOfSections(schema) || !Array.isArray(value)) return value;
  const defaults = Object.entries(schema.items.properties ?? {}).filter(
    ([, member]) => member.default !== undefined,
  );
  const filled = Object.fromEntries(defaults.map(([name, member]) => [name, member.default]));
  return value.map((entry: unknown) => (isSection(entry) ? { ...filled, ...entry } : entry));
}

function checkSection(name: string, value: unknown, schema: SettingSchema): string[] {
  if (!isSection(value)) return [`\`${name}\`: ${show(value)} is not a section`];
  const known = Object.keys(schema.properties ?? {});
  const missing = (schema.required ?? [])
    .filter(
      (member) => !Object.hasOwn(value, member) && memberOf(schema, member)?.default === undefined,
    )
    .map((member) => `\`${name}.${member}\` is missing`);
  const wrong = Object.entries(value).flatMap(([member, inner]) => {
    const memberSchema = memberOf(schema, member);
    if (memberSchema === undefined) return [`${unknownKey(member, known)} in \`${name}\``];
    return checkValue(`${name}.${member}`, inner, memberSchema);
  });
  return [...missing, ...wrong];
}

function isListOfSections(
  schema: SettingSchema,
): schema is SettingSchema & { readonly items: SettingSchema } {
  return (
    schema.items !== undefined && 'properties' in schema.items && schema.items.type === 'object'
  );
}

function isSection(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function bounds({ minimum, maximum }: SettingSchema): string {
  if (minimum === undefined) return `up to ${maximum}`;
  return maximum === undefined ? `from ${minimum}` : `from ${minimum} to ${maximum}`;
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > SHOWN_CHARACTERS_MAX ? `${text.slice(0, SHOWN_CHARACTERS_MAX)}…` : text;
}
