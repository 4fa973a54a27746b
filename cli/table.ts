// Small tables for terminals: columns as wide as their widest cell, numbers to the right. Pure.

import { printable } from './output.ts';

/** One column: its title and what stands in it for a row. */
export interface Column<Row> {
  readonly title: string;
  readonly cell: (row: Row) => string | number | null | undefined;
}

/** The table as lines, a title line first; each ends with a newline. */
export function renderTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string {
  const cells = rows.map((row) => columns.map(({ cell }) => cell(row) ?? '-'));
  const texts = cells.map((line) => line.map((cell) => printable(String(cell))));
  const titles = columns.map(({ title }) => title);
  const isNumber = columns.map(
    (_, index) => cells.length > 0 && cells.every((line) => isNumeric(line[index])),
  );
  const widths = titles.map((title, index) =>
    Math.max(title.length, ...texts.map((line) => line[index].length)),
  );
  return [titles, ...texts]
    .map((line) =>
      line
        .map((text, index) =>
          isNumber[index] ? text.padStart(widths[index]) : text.padEnd(widths[index]),
        )
        .join('  '),
    )
    .map((line) => `${line.trimEnd()}\n`)
    .join('');
}

function isNumeric(cell: string | number): boolean {
  return typeof cell === 'number' || cell === '-';
}
