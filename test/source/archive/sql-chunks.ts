// The SQL that stands in TypeScript files, as text: strings and templates that hold a keyword of
// SQL in capitals, with `?` where a template has an expression. Strings that are added up are one.

import type { Token } from '../tidy/scan.ts';
import type { SourceFile } from '../tidy/project.ts';

/** A piece of SQL and where it stands. */
export interface SqlChunk {
  readonly path: string;
  readonly line: number;
  readonly text: string;
  /** The outermost function around it, '' for none. */
  readonly functionName: string;
}

const SQL = /\b(SELECT|INSERT INTO|UPDATE|DELETE FROM|CREATE|ALTER|FROM|WHERE|VALUES|RETURNING)\b/;

/** Every piece of SQL in `file`, in its order. */
export function sqlIn(file: SourceFile): SqlChunk[] {
  const chunks: SqlChunk[] = [];
  const { tokens } = file.scan;
  for (let index = 0; index < tokens.length; index += 1) {
    if (tokens[index]?.kind !== 'string') continue;
    const { text, end } = literalAt(tokens, index);
    if (SQL.test(text)) {
      const line = tokens[index]?.line ?? 0;
      chunks.push({ path: file.path, line, text, functionName: functionAround(file, line) });
    }
    index = end;
  }
  return chunks;
}

/** The literal that begins at `start`, with what is added to it, and its last token. */
function literalAt(tokens: readonly Token[], start: number): { text: string; end: number } {
  let text = '';
  let depth = 0;
  let index = start;
  for (; index < tokens.length; index += 1) {
    const token = tokens[index];
    if (token?.kind !== 'string') {
      if (depth === 0 && token?.text !== '+') break;
      continue;
    }
    const isContinued = token.text.endsWith('${');
    const isContinuation = token.text.startsWith('}');
    if (isContinuation) depth -= 1;
    text += isContinuation ? `?${inner(token)}` : inner(token);
    if (isContinued) depth += 1;
  }
  return { text: text.replaceAll('\\n', '\n'), end: index - 1 };
}

function inner({ text }: Token): string {
  return text.replace(/^[`'"}]/, '').replace(/(\$\{|[`'"])$/, '');
}

function functionAround(file: SourceFile, line: number): string {
  const around = file.functions.find(
    (one) => one.name !== '' && one.line <= line && line < one.line + one.lineCount,
  );
  return around?.name ?? '';
}
