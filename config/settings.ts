// Finding one's way in the schema: every setting by its path, and the nearest known name for an
// unknown one. Pure.

import { CONFIG_SCHEMA } from './schema.ts';

/**
 * A schema as the loader reads it: the JSON Schema keywords that occur, with `form`, `env` and
 * `secret`.
 */
export interface SettingSchema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, SettingSchema>>;
  readonly required?: readonly string[] | undefined;
  readonly items?: SettingSchema | readonly SettingSchema[];
  readonly anyOf?: readonly SettingSchema[];
  readonly enum?: readonly string[];
  readonly const?: string | number | boolean;
  readonly pattern?: string;
  /** What `pattern` wants, in words. */
  readonly form?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly description?: string;
  readonly default?: unknown;
  readonly env?: string;
  readonly secret?: boolean;
}

/** One setting: a value rather than a section. */
export interface Setting {
  /** `archiver.batchAgeMs`. */
  readonly name: string;
  readonly path: readonly string[];
  readonly schema: SettingSchema;
}

/** Every setting, in the order of the schema. */
export const SETTINGS: readonly Setting[] = collectSettings(CONFIG_SCHEMA, []);

/** The setting or section at `path`, or undefined. */
export function schemaAt(path: readonly string[]): SettingSchema | undefined {
  let schema: SettingSchema | undefined = CONFIG_SCHEMA;
  for (const name of path) schema = memberOf(schema, name);
  return schema;
}

/** The schema of member `name` of the section `schema`, or undefined. */
export function memberOf(
  schema: SettingSchema | undefined,
  name: string,
): SettingSchema | undefined {
  const members = schema?.properties;
  return members !== undefined && Object.hasOwn(members, name) ? members[name] : undefined;
}

/** The sentence for a name that does not exist, with the nearest of `known` if one is near. */
export function unknownKey(name: string, known: readonly string[]): string {
  const near = nearest(name, known);
  return `unknown key \`${name}\`${near === undefined ? '' : ` — did you mean \`${near}\`?`}`;
}

/** The one of `known` that takes the fewest edits to get to, if that is few for its length. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  let best: { readonly candidate: string; readonly distance: number } | undefined;
  for (const candidate of known) {
    const distance = editDistance(simplify(name), simplify(candidate));
    if (best === undefined || distance < best.distance) best = { candidate, distance };
  }
  const distanceMax = Math.max(2, Math.floor(name.length / 4));
  return best !== undefined && best.distance <= distanceMax ? best.candidate : undefined;
}

/** Levenshtein distance: insertions, deletions and replacements of one character. */
export function editDistance(left: string, right: string): number {
  let previous = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let row = 1; row <= left.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= right.length; column += 1) {
      const replace = previous[column - 1] + (left[row - 1] === right[column - 1] ? 0 : 1);
      current.push(Math.min(replace, previous[column] + 1, current[column - 1] + 1));
    }
    previous = current;
  }
  return previous[right.length];
}

/** database_url, Database-URL and databaseUrl are one name misspelt three ways. */
function simplify(name: string): string {
  return name.toLowerCase().replaceAll(/[_-]/g, '');
}

function collectSettings(schema: SettingSchema, path: readonly string[]): Setting[] {
  if (schema.properties === undefined) return [{ name: path.join('.'), path, schema }];
  return Object.entries(schema.properties).flatMap(([name, member]) =>
    collectSettings(member, [...path, name]),
  );
}
