// How the tests of the rules show a rule a few lines of source and hear what it objects to.

import assert from 'node:assert/strict';
import { type Finding, type Project, projectOf } from './project.ts';

/** A rule: what it finds in a project. */
export type Rule = (project: Project) => Finding[];
/** Texts by path. */
export type Files = Readonly<Record<string, string>>;

/** What `rule` finds in `files`. */
export function findings(rule: Rule, files: Files): readonly Finding[] {
  return rule(projectOf(new Map(Object.entries(files))));
}

/** Holds that `rule` objects exactly once, on `line`. */
export function objects(rule: Rule, files: Files, line = 1): void {
  const found = findings(rule, files);
  assert.equal(found.length, 1, JSON.stringify(found));
  assert.equal(found[0]?.line, line);
}

/** Holds that `rule` finds nothing. */
export function passes(rule: Rule, files: Files): void {
  assert.deepEqual(findings(rule, files), []);
}

/** Holds that each snippet, alone in a file at `path`, is objected to exactly once. */
export function objectsToEach(rule: Rule, path: string, snippets: readonly string[]): void {
  for (const snippet of snippets) {
    const found = findings(rule, { [path]: snippet });
    assert.equal(found.length, 1, `${snippet}: ${JSON.stringify(found)}`);
  }
}

/** Holds that each snippet, alone in a file at `path`, is let pass. */
export function passesEach(rule: Rule, path: string, snippets: readonly string[]): void {
  for (const snippet of snippets) {
    assert.deepEqual(findings(rule, { [path]: snippet }), [], snippet);
  }
}
