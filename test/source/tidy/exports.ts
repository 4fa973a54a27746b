// What a file declares for others, and whether a docstring stands above it.

import type { Scan, Token } from './scan.ts';

/** One exported declaration. Re-exports are imports (imports.ts). */
export interface Export {
  readonly name: string;
  readonly line: number;
  readonly kind: string;
  readonly hasDocstring: boolean;
}

const MODIFIERS = new Set(['declare', 'abstract', 'async']);
const KINDS = new Set(
  'function class const let var interface type enum namespace default'.split(' '),
);

/** Every exported declaration, in order; of overloads, and of a value and its type, the first. */
export function exportsIn(scan: Scan): readonly Export[] {
  const found: Export[] = [];
  scan.tokens.forEach((token, index) => {
    if (token.kind !== 'word' || token.text !== 'export') return;
    for (const made of declarationsAt(scan, index)) {
      if (!found.some(({ name }) => name === made.name)) found.push(made);
    }
  });
  return found;
}

function declarationsAt(scan: Scan, index: number): readonly Export[] {
  let at = index + 1;
  while (MODIFIERS.has(scan.tokens[at]?.text ?? '')) at += 1;
  const kind = scan.tokens[at]?.text ?? '';
  if (kind === '{') return listAt(scan, at);
  if (!KINDS.has(kind)) return [];
  if (kind === 'const' && scan.tokens[at + 1]?.text === 'enum') at += 1;
  const next = scan.tokens[at + 1];
  if (kind === 'type' && next?.kind !== 'word') return [];
  const hasDocstring = hasDocstringAbove(scan, index);
  if (kind === 'default') return [entry('default', kind, scan.tokens[at], hasDocstring)];
  const name = next?.text === '*' ? scan.tokens[at + 2] : next;
  if (name?.kind !== 'word') return [];
  return [entry(name.text, kind, name, hasDocstring)];
}

/** `export { a, b as c };` without `from`: the docstring stands where the name is declared. */
function listAt(scan: Scan, open: number): readonly Export[] {
  const close = scan.partner.get(open) ?? open;
  if (scan.tokens[close + 1]?.text === 'from') return [];
  return scan.tokens
    .slice(open + 1, close)
    .filter(
      (token, at, all) => token.kind === 'word' && [',', undefined].includes(all[at + 1]?.text),
    )
    .map((token) => entry(token.text, 'list', token, true));
}

function entry(
  name: string,
  kind: string,
  token: Token | undefined,
  hasDocstring: boolean,
): Export {
  return { name, kind, line: token?.line ?? 1, hasDocstring };
}

function hasDocstringAbove(scan: Scan, index: number): boolean {
  const start = scan.tokens[index]?.start ?? 0;
  const before = scan.tokens[index - 1]?.end ?? 0;
  const above = scan.comments.findLast((comment) => comment.end <= start);
  if (above !== undefined && above.start >= before) return above.text.startsWith('/**');
  const row = rowAbove(scan, index);
  return row !== undefined && hasDocstringAbove(scan, row);
}

/**
 * The `export` of the line above, where both lines are one-line constants: a table of constants,
 * such as codes or positions of fields, needs one docstring. A blank line ends the table.
 */
function rowAbove(scan: Scan, index: number): number | undefined {
  const isConstant = (at: number): boolean => scan.tokens[at + 1]?.text === 'const';
  const line = scan.tokens[index]?.line ?? 0;
  let at = index - 1;
  while (at >= 0 && scan.tokens[at]?.line === line - 1 && scan.tokens[at]?.text !== 'export')
    at -= 1;
  const isRow = scan.tokens[at]?.text === 'export' && scan.tokens[at]?.line === line - 1;
  return isRow && isConstant(at) && isConstant(index) ? at : undefined;
}
