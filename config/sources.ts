// Where settings come from: a YAML file, the environment, flags. Each source is turned into
// assignments that remember where they stand, so that a wrong value can be found. Which one wins is
// decided in load.ts.

import {
  isAlias,
  isMap,
  isScalar,
  LineCounter,
  parseDocument,
  type Document,
  type Node,
} from 'yaml';
import { coerce } from './check.ts';
import { memberOf, nearest, schemaAt, SETTINGS, unknownKey } from './settings.ts';

/** One setting given by one source. */
export interface Assignment {
  readonly path: readonly string[];
  readonly value: unknown;
  /** Where it stands: `backcast.yaml:12`, `environment BACKCAST_PORT`, `--port`. */
  readonly source: string;
}

/** A setting given on the command line. */
export interface FlagValue {
  /** `--port`. */
  readonly flag: string;
  /** `api.port`. */
  readonly name: string;
  readonly value: unknown;
}

/** What a source says, and what of it makes no sense. */
export interface SourceReading {
  readonly assignments: readonly Assignment[];
  readonly problems: readonly string[];
}

/** Variables that steer the loader itself rather than a setting. */
export const LOADER_VARIABLES = ['BACKCAST_CONFIG'];
/** What Kubernetes puts into every container when there is a service called `backcast`. */
const SERVICE_LINK = /^BACKCAST_(SERVICE_|PORT_\d)/;

/** What the YAML `text` of `file` says. */
export function readYaml(text: string, file: string): SourceReading {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const problems = document.errors.map(
    ({ message, pos }) => `${file}:${lines.linePos(pos[0]).line}: ${message.split('\n', 1)[0]}`,
  );
  if (problems.length > 0) return { assignments: [], problems };
  const walk: YamlWalk = { document, lines, file, assignments: [], problems };
  walkSection(document.contents, [], walk);
  return walk;
}

interface YamlWalk {
  readonly document: Document;
  readonly lines: LineCounter;
  readonly file: string;
  readonly assignments: Assignment[];
  readonly problems: string[];
}

function walkSection(node: Node | null, path: readonly string[], walk: YamlWalk): void {
  const target = isAlias(node) ? (node.resolve(walk.document) ?? null) : node;
  if (target === null || (isScalar(target) && target.value === null)) return;
  if (!isMap(target)) {
    const name = path.length === 0 ? 'the file' : `\`${path.join('.')}\``;
    walk.problems.push(`${place(target, walk)}: ${name} is not a section of names and values`);
    return;
  }
  for (const { key, value } of target.items) {
    if (!isScalar(key)) continue;
    walkMember(key, isNode(value) ? value : null, { path, walk });
  }
}

function walkMember(
  key: Node & { readonly value: unknown },
  value: Node | null,
  { path, walk }: { readonly path: readonly string[]; readonly walk: YamlWalk },
): void {
  const memberPath = [...path, String(key.value)];
  const source = place(key, walk);
  const schema = memberOf(schemaAt(path), String(key.value));
  if (schema === undefined) {
    const known = Object.keys(schemaAt(path)?.properties ?? {});
    const siblings = known.map((name) => [...path, name].join('.'));
    const all = [...siblings, ...SETTINGS.map(({ name }) => name)];
    walk.problems.push(`${source}: ${unknownKey(memberPath.join('.'), all)}`);
  } else if (schema.properties === undefined) {
    const plain: unknown = value?.toJS(walk.document) ?? null;
    if (plain !== null) walk.assignments.push({ path: memberPath, value: plain, source });
  } else walkSection(value, memberPath, walk);
}

function place(node: Node, { lines, file }: YamlWalk): string {
  return `${file}:${lines.linePos(node.range?.[0] ?? 0).line}`;
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'toJS' in value;
}

/**
 * What the environment says. A variable that is set to nothing counts as not set. A variable that
 * begins with BACKCAST_ and is almost one of ours is a problem; others are somebody else's.
 */
export function readEnvironment(env: Readonly<Record<string, string | undefined>>): SourceReading {
  const assignments: Assignment[] = [];
  const names: string[] = [...LOADER_VARIABLES];
  for (const { path, schema } of SETTINGS) {
    if (schema.env === undefined) continue;
    names.push(schema.env);
    const text = env[schema.env];
    if (text === undefined || text === '') continue;
    assignments.push({ path, value: coerce(text, schema), source: `environment ${schema.env}` });
  }
  const problems = Object.keys(env)
    .filter((name) => name.startsWith('BACKCAST_') && !names.includes(name))
    .filter((name) => !SERVICE_LINK.test(name))
    .filter((name) => nearest(name, names) !== undefined)
    .map((name) => `environment ${name}: unknown — did you mean \`${nearest(name, names)}\`?`);
  return { assignments, problems };
}

/** What the flags say. A flag that was not given has the value undefined. */
export function readFlags(flags: readonly FlagValue[]): SourceReading {
  const assignments: Assignment[] = [];
  for (const { flag, name, value } of flags) {
    if (value === undefined) continue;
    const path = name.split('.');
    const schema = schemaAt(path) ?? {};
    const typed = typeof value === 'string' ? coerce(value, schema) : value;
    assignments.push({ path, value: typed, source: flag });
  }
  return { assignments, problems: [] };
}
