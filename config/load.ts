// The configuration of one process: defaults, then a YAML file, then the environment, then flags,
// each winning over the one before. All that is wrong is told at once, each with the place where it
// stands. Reads one file and changes nothing.

import { readFileSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { BackcastError, rootMessage } from '#base/mod.ts';
import { checkValue, withDefaults } from './check.ts';
import { checkRelations } from './relations.ts';
import type { Config } from './schema.ts';
import { schemaAt, SETTINGS } from './settings.ts';
import {
  readEnvironment,
  readFlags,
  readYaml,
  type FlagValue,
  type SourceReading,
} from './sources.ts';

/** The file that is read where none is named, if it is there. */
export const CONFIG_FILE_DEFAULT = 'backcast.yaml';

const NOTHING: SourceReading = { assignments: [], problems: [] };

/** Where to look. */
export interface LoadOptions {
  /** Folder to which relative paths refer; the current one by default. */
  readonly cwd?: string;
  /** The environment; that of the process by default. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** YAML file (`--config`); BACKCAST_CONFIG, then backcast.yaml by default. */
  readonly file?: string | undefined;
  readonly flags?: readonly FlagValue[];
}

/**
 * The configuration, checked, complete and frozen; `home` is absolute. Throws
 * BACKCAST_CONFIG_INVALID with every problem on a line of its own.
 */
export function loadConfig(options: LoadOptions = {}): Config {
  const cwd = options.cwd ?? process.cwd();
  const env = options.env ?? process.env;
  const readings = [
    readConfigFile(cwd, options.file ?? nonEmpty(env['BACKCAST_CONFIG'])),
    readEnvironment(env),
    readFlags(options.flags ?? []),
  ];
  const problems = readings.flatMap((reading) => reading.problems);
  const config = defaults();
  for (const { path, value, source } of readings.flatMap((reading) => reading.assignments)) {
    const schema = schemaAt(path) ?? {};
    const wrong = checkValue(path.join('.'), value, schema);
    problems.push(...wrong.map((problem) => `${source}: ${problem}`));
    assign(config, path, withDefaults(value, schema));
  }
  if (problems.length === 0) problems.push(...checkRelations(config as unknown as Config));
  if (problems.length > 0) throw invalidConfig(problems);
  config['home'] = resolve(cwd, String(config['home']));
  deepFreeze(config);
  return config as unknown as Config;
}

/** Where commands find the replay API. */
export function apiUrl({ api }: Config): string {
  const host = api.host.includes(':') ? `[${api.host}]` : api.host;
  const scheme = api.tls.certFile === undefined ? 'http' : 'https';
  return (api.url ?? `${scheme}://${anyToLoopback(host)}:${api.port}`).replace(/\/+$/, '');
}

/** Listening on all addresses is not an address to connect to. */
function anyToLoopback(host: string): string {
  return host.replace(/^0\.0\.0\.0$/, '127.0.0.1').replace(/^\[::\]$/, '[::1]');
}

type Section = Record<string, unknown>;

function defaults(): Section {
  const config: Section = {};
  for (const { path, schema } of SETTINGS) {
    const section = sectionOf(config, path);
    if (schema.default === undefined) continue;
    section[path[path.length - 1]] = structuredClone(schema.default);
  }
  return config;
}

function assign(config: Section, path: readonly string[], value: unknown): void {
  sectionOf(config, path)[path[path.length - 1]] = value;
}

/** The section that the setting at `path` is in, made if need be: also one without a default. */
function sectionOf(config: Section, path: readonly string[]): Section {
  let section = config;
  for (const name of path.slice(0, -1)) section = (section[name] ??= {}) as Section;
  return section;
}

function readConfigFile(cwd: string, named: string | undefined): SourceReading {
  const path = resolve(cwd, named ?? CONFIG_FILE_DEFAULT);
  try {
    return readYaml(readFileSync(path, 'utf8'), named ?? basename(path));
  } catch (cause) {
    if (named === undefined && isMissing(cause)) return NOTHING;
    throw new BackcastError(
      'BACKCAST_CONFIG_INVALID',
      `the configuration file ${path} cannot be read: ${rootMessage(cause)}`,
      { cause },
    );
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

function invalidConfig(problems: readonly string[]): BackcastError {
  const [first, ...others] = problems;
  if (others.length === 0) return new BackcastError('BACKCAST_CONFIG_INVALID', first);
  const list = problems.map((problem) => `\n  ${problem}`).join('');
  return new BackcastError(
    'BACKCAST_CONFIG_INVALID',
    `${problems.length} problems in the configuration:${list}`,
  );
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}

function deepFreeze(value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  for (const member of Object.values(value)) deepFreeze(member);
  Object.freeze(value);
}
