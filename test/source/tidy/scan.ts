// Cuts TypeScript into tokens and comments, well enough for rules about the source: it knows
// strings, templates, regular expressions and comments apart, matches brackets, and understands
// nothing more. Not a parser: the compiler of this major version has no programming interface, and
// rules that look at tokens rather than at raw text are already blind to words inside strings and
// comments.

/**
 * One token. A string token holds its text with quotes; a template is one string token per chunk.
 */
export interface Token {
  readonly kind: 'word' | 'number' | 'string' | 'regex' | 'punct';
  readonly text: string;
  readonly start: number;
  readonly end: number;
  /** 1 for the first line. */
  readonly line: number;
}

/** One comment, delimiters included. */
export interface Comment {
  readonly text: string;
  readonly start: number;
  readonly end: number;
  readonly line: number;
}

/** What `scan` makes of a file. */
export interface Scan {
  readonly tokens: readonly Token[];
  readonly comments: readonly Comment[];
  /** For the index of an opening bracket the index of its closing one, and the other way round. */
  readonly partner: ReadonlyMap<number, number>;
}

const WORD_START = /[A-Za-z_$#\u00aa-\uffff]/;
const WORD = /[A-Za-z0-9_$#\u00aa-\uffff]+/y;
const NUMBER = /[0-9][0-9A-Za-z_]*(?:\.[0-9][0-9A-Za-z_]*)?/y;
const REGEX = /\/(?:\\[^\n]|\[(?:\\[^\n]|[^\]\\\n])*\]|[^/\\[\n])+\/[a-z]*/y;
const LONG_PUNCT = /=>|\.\.\.|\?\.|\?\?/y;
const REGEX_MAY_FOLLOW = new Set(
  'return typeof case in of delete void throw new else do await yield instanceof'.split(' '),
);

/**
 * Cuts `text`. Total: whatever the text, it ends; unfinished strings and comments reach to the end.
 */
export function scan(text: string): Scan {
  const tokens: Token[] = [];
  const comments: Comment[] = [];
  const openTemplates: number[] = [];
  let braceDepth = 0;
  let line = 1;
  let at = 0;

  const advance = (end: number): void => {
    for (let index = at; index < end; index += 1) if (text[index] === '\n') line += 1;
    at = end;
  };
  const push = (kind: Token['kind'], end: number): void => {
    tokens.push({ kind, text: text.slice(at, end), start: at, end, line });
    advance(end);
  };
  const pushTemplateChunk = (): void => {
    const end = templateChunkEnd(text, at + 1);
    push('string', end);
    if (text[end - 1] !== '{') return;
    openTemplates.push(braceDepth);
    braceDepth += 1;
  };

  while (at < text.length) {
    const char = text[at] ?? '';
    if (/\s/.test(char)) advance(at + 1);
    else if (text.startsWith('//', at) || text.startsWith('/*', at) || isShebang(text, at)) {
      const end = commentEnd(text, at);
      comments.push({ text: text.slice(at, end), start: at, end, line });
      advance(end);
    } else if (char === "'" || char === '"') push('string', stringEnd(text, at));
    else if (char === '`') pushTemplateChunk();
    else if (char === '}' && openTemplates.at(-1) === braceDepth - 1) {
      openTemplates.pop();
      braceDepth -= 1;
      pushTemplateChunk();
    } else if (WORD_START.test(char)) push('word', endOf(WORD, text, at));
    else if (/[0-9]/.test(char)) push('number', endOf(NUMBER, text, at));
    else if (char === '/' && regexMayStart(tokens) && endOf(REGEX, text, at) > at + 1) {
      push('regex', endOf(REGEX, text, at));
    } else {
      if (char === '{') braceDepth += 1;
      if (char === '}') braceDepth -= 1;
      push('punct', endOf(LONG_PUNCT, text, at));
    }
  }
  return { tokens, comments, partner: matchBrackets(tokens) };
}

function endOf(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : at + 1;
}

function isShebang(text: string, at: number): boolean {
  return at === 0 && text.startsWith('#!');
}

function commentEnd(text: string, at: number): number {
  const isBlock = text.startsWith('/*', at);
  const end = text.indexOf(isBlock ? '*/' : '\n', at + 2);
  if (end === -1) return text.length;
  return isBlock ? end + 2 : end;
}

function stringEnd(text: string, at: number): number {
  for (let index = at + 1; index < text.length; index += 1) {
    if (text[index] === '\\') index += 1;
    else if (text[index] === text[at] || text[index] === '\n') return index + 1;
  }
  return text.length;
}

/**
 * The end of a template chunk that begins before `from`: behind its closing backtick or its `${`.
 */
function templateChunkEnd(text: string, from: number): number {
  for (let index = from; index < text.length; index += 1) {
    if (text[index] === '\\') index += 1;
    else if (text[index] === '`') return index + 1;
    else if (text[index] === '$' && text[index + 1] === '{') return index + 2;
  }
  return text.length;
}

function regexMayStart(tokens: readonly Token[]): boolean {
  const before = tokens.at(-1);
  if (before === undefined) return true;
  if (before.kind === 'word') return REGEX_MAY_FOLLOW.has(before.text);
  if (before.kind === 'string') return before.text.endsWith('${');
  return before.kind === 'punct' && before.text !== ')' && before.text !== ']';
}

function matchBrackets(tokens: readonly Token[]): ReadonlyMap<number, number> {
  const partner = new Map<number, number>();
  const open: number[] = [];
  tokens.forEach((token, index) => {
    if (token.kind !== 'punct') return;
    if ('([{'.includes(token.text)) open.push(index);
    if (!')]}'.includes(token.text)) return;
    const opener = open.pop();
    if (opener === undefined) return;
    partner.set(opener, index);
    partner.set(index, opener);
  });
  return partner;
}
