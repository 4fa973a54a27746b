// Where functions begin and end: declarations, methods, accessors and arrow functions. Found by
// their parameter list and what follows it, so a body whose type is written in an unusual way may
// be missed, but what is found is a function.

import type { Scan, Token } from './scan.ts';

/** One function with a body. Token indexes point into the scan it was found in. */
export interface FunctionSpan {
  /** The word before the parameters, or '' for an arrow function without one. */
  readonly name: string;
  readonly line: number;
  /** From the line of the parameter list to the line of the closing brace, both included. */
  readonly lineCount: number;
  /** Indexes of the brackets around the parameters. */
  readonly open: number;
  readonly close: number;
}

const CONTROL = new Set(['if', 'for', 'while', 'switch', 'catch', 'with']);
const NOT_IN_A_TYPE = new Set(
  'if for while switch return const let var throw break continue case default do try'.split(' '),
);

/** Every function of the file, in the order of their parameter lists. */
export function functionsIn(scan: Scan): readonly FunctionSpan[] {
  const found: FunctionSpan[] = [];
  scan.tokens.forEach((token, index) => {
    if (token.text !== '(' || token.kind !== 'punct') return;
    const close = scan.partner.get(index);
    if (close === undefined || isControl(scan.tokens, index)) return;
    const last = bodyEnd(scan, close + 1);
    if (last === undefined) return;
    const before = scan.tokens[index - 1];
    found.push({
      name: before?.kind === 'word' ? before.text : '',
      line: token.line,
      lineCount: last.line - token.line + 1,
      open: index,
      close,
    });
  });
  return found;
}

function isControl(tokens: readonly Token[], open: number): boolean {
  const before = tokens[open - 1]?.text ?? '';
  return CONTROL.has(before) || (before === 'await' && tokens[open - 2]?.text === 'for');
}

/** The last token of the body that follows a parameter list, or undefined if none follows. */
function bodyEnd(scan: Scan, after: number): Token | undefined {
  const next = scan.tokens[after]?.text;
  if (next === '{') return closer(scan, after);
  if (next === '=>') return arrowEnd(scan, after + 1);
  if (next !== ':') return undefined;
  const body = behindType(scan, after + 1);
  if (body === undefined) return undefined;
  return scan.tokens[body]?.text === '=>' ? arrowEnd(scan, body + 1) : closer(scan, body);
}

function closer(scan: Scan, open: number): Token | undefined {
  const close = scan.partner.get(open);
  return close === undefined ? undefined : scan.tokens[close];
}

/**
 * An arrow's body: a block, or an expression that reaches to the next separator outside of
 * brackets.
 */
function arrowEnd(scan: Scan, start: number): Token | undefined {
  if (scan.tokens[start]?.text === '{') return closer(scan, start);
  let at = start;
  while (at < scan.tokens.length && !/^[,;)\]}]$/.test(scan.tokens[at]?.text ?? '')) {
    at = (isOpener(scan.tokens[at]) ? (scan.partner.get(at) ?? at) : at) + 1;
  }
  return scan.tokens[at - 1];
}

/**
 * Steps over a return type: the index of the `{` or `=>` behind it, or undefined if there is none.
 */
function behindType(scan: Scan, start: number): number | undefined {
  let angleDepth = 0;
  let isAtStart = true;
  for (let at = start; at < scan.tokens.length; at += 1) {
    const { text, kind } = scan.tokens[at] ?? { text: ';', kind: 'punct' };
    if (kind === 'word' && NOT_IN_A_TYPE.has(text)) return undefined;
    if (text === '{' && !isAtStart && angleDepth === 0) return at;
    if (text === '=>' && angleDepth === 0 && !isFunctionType(scan, at, start)) return at;
    if (/^[;)\]}=]$/.test(text) || (text === ',' && angleDepth === 0)) return undefined;
    if (text === '<') angleDepth += 1;
    if (text === '>') angleDepth -= 1;
    const isGroup = isOpener(scan.tokens[at]);
    if (isGroup) at = scan.partner.get(at) ?? at;
    isAtStart = !isGroup && (/^[|&<,:?]$|^=>$/.test(text) || text === 'is' || text === 'readonly');
  }
  return undefined;
}

/**
 * Whether the arrow belongs to a function type such as `(x: number) => void` that begins the type.
 */
function isFunctionType(scan: Scan, arrow: number, start: number): boolean {
  if (scan.tokens[arrow - 1]?.text !== ')') return false;
  const open = scan.partner.get(arrow - 1);
  return open === start || /^[|&<,:]$|^=>$/.test(scan.tokens[(open ?? 0) - 1]?.text ?? '');
}

function isOpener(token: Token | undefined): boolean {
  return token?.kind === 'punct' && '([{'.includes(token.text);
}
