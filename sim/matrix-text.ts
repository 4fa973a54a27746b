// The matrix as text: a title line, and a line per cell.

import { type LossPlace, matrixCell, type MatrixCell } from './matrix-cell.ts';

const TITLES = [
  'whose',
  'loss',
  'receivers',
  'lost',
  'p50 ms',
  'p99 ms',
  'asked',
  'least',
  'redundant',
  'delivered',
];

/** The titles of the columns. */
export function matrixTitle(): string {
  return matrixRow(TITLES);
}

/** Runs a cell and writes it as a line of the matrix. */
export function matrixLine(loss: number, receiverCount: number, place: LossPlace): string {
  return cellLine(matrixCell(loss, receiverCount, place));
}

/** A cell as a line of the matrix. */
export function cellLine(cell: MatrixCell): string {
  const perLost = (value: number): string => (cell.lostPackets === 0 ? '-' : value.toFixed(2));
  return matrixRow([
    cell.place,
    `${cell.loss * 100} %`,
    cell.receiverCount,
    cell.lostPackets,
    atShare(cell.latenciesMs, 0.5),
    atShare(cell.latenciesMs, 0.99),
    perLost(cell.asked),
    perLost(cell.least),
    perLost(cell.redundant),
    cell.isAllDelivered ? 'all' : cell.delivered,
  ]);
}

function matrixRow(cells: readonly (string | number)[]): string {
  return cells.map((cell) => String(cell).padStart(10)).join('');
}

function atShare(sortedMs: readonly number[], share: number): string {
  const ms = sortedMs[Math.floor(share * (sortedMs.length - 1))];
  return ms === undefined ? '-' : ms.toFixed(1);
}
