// The rule that a name of a time or a size carries its unit: batchAgeMs, not batchAge. Looks at
// what we declare (variables, parameters, fields of classes and interfaces), not at what libraries
// call theirs.

import type { Finding, Project, SourceFile } from './project.ts';
import { nameParts, parameterNames } from './rules-words.ts';
import type { Token } from './scan.ts';

const MEASURED = new Set('timeout delay interval age size length duration ttl period'.split(' '));
const UNITS = new Set(
  (
    'us ms sec secs second seconds minutes hours days bytes bits chars columns lines count ' +
    'packets messages rows segments sqns sessions slots per'
  ).split(' '),
);
const QUALIFIERS = new Set('max min default target limit total'.split(' '));

/** Names that measure without a unit, each with its reason. */
const ALLOWED: Readonly<Record<string, string>> = {
  length: 'how many there are, as arrays call it',
  size: 'how many there are, as sets and maps call it',
  OPTION_LENGTH: 'the option that PGM calls OPT_LENGTH',
  groupSize: 'the group size of RFC 5401: a number of receivers',
  NAK_GROUP_SIZE_MIN: 'the least group size that is assumed: a number of receivers',
  NAK_GROUP_SIZE_MAX: 'the largest group size that is assumed: a number of receivers',
  ttl: 'hops, as IP calls it; written as a bare number in every interface to it',
  runLength: 'messages in a run, read from the column run_length',
  run_length: 'a column: messages in a run, beside run_first and run_session',
};

/** Times and sizes that we declare carry their unit. */
export function units(project: Project): Finding[] {
  return project.sources.flatMap((file) =>
    declaredNames(file)
      .filter(({ text }) => isMeasuredWithoutUnit(text))
      .map(({ text, line }) => ({
        path: file.path,
        line,
        message: `${text} has no unit in its name`,
      })),
  );
}

function isMeasuredWithoutUnit(name: string): boolean {
  if (Object.hasOwn(ALLOWED, name)) return false;
  const parts = nameParts(name);
  if (parts.some((part) => UNITS.has(part))) return false;
  const last = parts.findLast((part) => !QUALIFIERS.has(part));
  return last !== undefined && MEASURED.has(last);
}

function declaredNames(file: SourceFile): readonly Token[] {
  const { tokens } = file.scan;
  const variables = tokens.filter(
    (token, index) =>
      token.kind === 'word' && /^(const|let|var)$/.test(tokens[index - 1]?.text ?? ''),
  );
  const parameters = file.functions.flatMap(({ open, close }) => parameterNames(file, open, close));
  return [...variables, ...parameters, ...fieldNames(file)];
}

/** Fields of interfaces, object types and classes: names before `:` or `=` at the top of a body. */
function fieldNames(file: SourceFile): readonly Token[] {
  const { tokens, partner } = file.scan;
  const names: Token[] = [];
  tokens.forEach((token, index) => {
    if (token.text !== '{' || !isTypeBody(tokens, index)) return;
    const close = partner.get(index) ?? index;
    for (let at = index + 1; at < close; at += 1) {
      const after = tokens[at + 1]?.text === '?' ? tokens[at + 2]?.text : tokens[at + 1]?.text;
      const isStart = /^([{;}]|readonly|static|#)$/.test(tokens[at - 1]?.text ?? '');
      if (tokens[at]?.kind === 'word' && isStart && /^[:=;]$/.test(after ?? '')) {
        const name = tokens[at];
        if (name !== undefined) names.push(name);
      }
      if (/^[([{]$/.test(tokens[at]?.text ?? '')) at = partner.get(at) ?? at;
    }
  });
  return names;
}

/** Whether the brace opens an interface, a class or the body of `type X =`. */
function isTypeBody(tokens: readonly Token[], open: number): boolean {
  if (tokens[open]?.kind !== 'punct') return false;
  for (let at = open - 1; at >= 0; at -= 1) {
    const text = tokens[at]?.text ?? '';
    if (text === 'interface' || text === 'class') return true;
    if (text === '=') return /^(type)$/.test(tokens[at - 2]?.text ?? '');
    if (/^[;{})(]$/.test(text)) return false;
  }
  return false;
}
