// Rules that hold documents and program together: what one names, the other has.

import { dirname, join } from 'node:path/posix';
import { FLOORS } from './parts.ts';
import type { Finding, Project } from './project.ts';

/** Headings in a document that stand for one code each: `### CODE` or `## \`code\``. */
export function headings(text: string): ReadonlySet<string> {
  const found = [...outsideOfFences(text).matchAll(/^#+\s+(.*)$/gm)];
  return new Set(found.map(([, title = '']) => title.replaceAll('`', '').trim()));
}

/** What is in one of two sets only, as findings against `path`. */
export function differences(
  path: string,
  known: ReadonlySet<string>,
  documented: ReadonlySet<string>,
): Finding[] {
  const missing = [...known.difference(documented)].map((name) => `${name} is not documented`);
  const stale = [...documented.difference(known)].map((name) => `${name} does not exist`);
  return [...missing, ...stale].map((message) => ({ path, line: 1, message }));
}

/** Links between documents lead to a file, and to a heading in it where they name one. */
export function links(project: Project): Finding[] {
  return documents(project).flatMap(([path, text]) =>
    [...outsideOfFences(text).matchAll(/\]\(([^)\s]+)\)/g)].flatMap((match) => {
      const message = linkProblem(project, path, match[1] ?? '');
      return message === undefined ? [] : [{ path, line: lineAt(text, match.index), message }];
    }),
  );
}

/** One document, one title, on its first line. */
export function titles(project: Project): Finding[] {
  return documents(project).flatMap(([path, text]) => {
    const count = [...outsideOfFences(text).matchAll(/^# /gm)].length;
    if (count === 1 && text.startsWith('# ')) return [];
    return [{ path, line: 1, message: `${count} titles; a document opens with its only one` }];
  });
}

/**
 * Commands that documents show exist: `./backcast NAME` in the command line, `npm run NAME` here.
 */
export function commands(project: Project, commandNames: ReadonlySet<string>): Finding[] {
  const manifest = JSON.parse(project.texts.get('package.json') ?? '{}') as {
    scripts?: Record<string, string>;
  };
  const scripts = new Set(Object.keys(manifest.scripts ?? {}));
  return documents(project).flatMap(([path, text]) => [
    ...missingIn(path, text, /(?:^|[\s`(])(?:\.\/)?backcast ([a-z][a-z-]*)/gm, commandNames, true),
    ...missingIn(path, text, /npm run ([a-z][a-z:-]*)/g, scripts, false),
  ]);
}

/** The names of the commands that the sources of `cli/` register. */
export function registeredCommands(project: Project): ReadonlySet<string> {
  return new Set(
    project.sources
      .filter(({ path }) => path.startsWith('cli/'))
      .flatMap(({ text }) => [
        ...text.matchAll(/(?:\.command\(|new Command\(|name:)\s*'([a-z][a-z-]*)/g),
      ])
      .map(([, name = '']) => name),
  );
}

/** Nothing refers to what a stranger cannot open: private notes, machines, trackers. */
export function privateReferences(project: Project): Finding[] {
  return [...project.texts].flatMap(([path, text]) =>
    text.split('\n').flatMap((line, index) => {
      const found = PRIVATE.map((pattern) => pattern.exec(line)?.[0]).find((hit) => hit);
      if (found === undefined) return [];
      return [{ path, line: index + 1, message: `${found} is not part of the project` }];
    }),
  );
}

/** Rows of the floors table in `text`: `| part | floor |`, against the table that the rules use. */
export function floorTable(path: string, text: string): Finding[] {
  const rows = [...text.matchAll(/^\|\s*`([a-z/-]+)\/`\s*\|\s*(\d+)\s*\|/gm)];
  const drawn = new Set(rows.map(([, part = '', floor = '']) => `${part} ${floor}`));
  const held = Object.entries(FLOORS).filter(([part]) => part !== 'console' && part !== 'test');
  return differences(path, new Set(held.map(([part, floor]) => `${part} ${floor}`)), drawn);
}

/** The part of a changelog that tells of the version in package.json, and its lines. */
export function changelog(project: Project): Finding[] {
  const path = 'CHANGELOG.md';
  const text = project.texts.get(path) ?? '';
  const { version } = JSON.parse(project.texts.get('package.json') ?? '{}') as { version?: string };
  const findings: Finding[] = [];
  if (!text.includes(`\n## ${version ?? '?'}`)) {
    findings.push({ path, line: 1, message: `has no heading for version ${version ?? '?'}` });
  }
  text.split('\n').forEach((line, index) => {
    if (!line.startsWith('- ') || /^- \*\*\[[a-z-]+(\/[a-z-]+)?\]\*\* \S/.test(line)) return;
    findings.push({ path, line: index + 1, message: 'an entry begins with **[part]**' });
  });
  return findings;
}

// Spelt with classes of one letter, so that this file does not object to itself.
const PRIVATE: readonly RegExp[] = [
  /\/w[o]rk(\/|\b)/,
  /\/tm[p]\/(wt|prompts|n24)\b/,
  /shar[e]d\/\w+\.md/,
  /\b(desig[n]|fault[s]|librarie[s])\.md/,
  /\bfar[m]-[a-z]+/,
  /\bissues sho[w]\b/,
  /\b(see|in|of) issu[e] #?\d/,
];

function documents(project: Project): [string, string][] {
  return [...project.texts].filter(([path]) => path.endsWith('.md'));
}

/** The text with code blocks blanked, line for line. */
function outsideOfFences(text: string): string {
  return text.replaceAll(/^```[\s\S]*?^```/gm, (block) => block.replaceAll(/[^\n]/g, ' '));
}

function linkProblem(project: Project, from: string, link: string): string | undefined {
  if (/^(https?:|mailto:)/.test(link)) return undefined;
  const [file = '', anchor] = link.split('#');
  const path = file === '' ? from : join(dirname(from), file);
  const text = project.texts.get(path.replace(/\/$/, ''));
  const isFolder = [...project.texts.keys()].some((other) =>
    other.startsWith(path.endsWith('/') ? path : `${path}/`),
  );
  if (text === undefined)
    return isFolder || path === 'LICENSE' ? undefined : `${link} leads nowhere`;
  if (anchor === undefined || [...headings(text)].some((title) => slug(title) === anchor)) {
    return undefined;
  }
  return `${link} names no heading`;
}

function slug(title: string): string {
  const plain = title.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1');
  const kept = plain.toLowerCase().replaceAll(/[^\p{L}\p{N}\s_-]/gu, '');
  return kept.trim().replaceAll(/\s/g, '-');
}

function missingIn(
  path: string,
  text: string,
  pattern: RegExp,
  known: ReadonlySet<string>,
  isCodeOnly: boolean,
): Finding[] {
  return [...text.matchAll(pattern)]
    .filter(({ index }) => !isCodeOnly || isInCode(text, index))
    .filter(([, name = '']) => !known.has(name))
    .map((match) => ({
      path,
      line: lineAt(text, match.index),
      message: `${match[0].trim()} does not exist`,
    }));
}

/** Whether `index` lies in a code block or, on its line, behind an odd number of backticks. */
function isInCode(text: string, index: number): boolean {
  const before = text.slice(0, index + 1);
  if ((before.match(/^```/gm)?.length ?? 0) % 2 === 1) return true;
  const line = before.slice(before.lastIndexOf('\n') + 1);
  return (line.match(/`/g)?.length ?? 0) % 2 === 1;
}

function lineAt(text: string, index: number): number {
  return text.slice(0, index + 1).split('\n').length;
}
