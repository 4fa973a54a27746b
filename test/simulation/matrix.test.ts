// What repair costs, held to the committed matrix, and the committed matrix held to what is
// possible. Computes the cells that are quick, and of a thousand receivers one of each kind of
// loss. All of them: `npm run matrix`.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  cellLine,
  leastAsked,
  MATRIX_LOSSES,
  MATRIX_PLACES,
  MATRIX_RECEIVERS,
  matrixCell,
  type MatrixCell,
} from '#sim/mod.ts';

const [, ...COMMITTED] = readFileSync(new URL('../../sim/matrix.txt', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n');

/** How much more than the least may be asked for; of fewer packets chance decides too much. */
const TIMES_LEAST_MAX = 1.35;
const LOST_PACKETS_MIN = 10;
/** Whatever the number of receivers, where all miss the same. */
const SHARED_ASKED_MAX = 2;

/** A line as the numbers that the rules below are about. */
function cellOf(line: string) {
  const [place, loss, , receivers, lost, , , asked, least, , delivered] = line.trim().split(/\s+/);
  return {
    place,
    loss: Number(loss) / 100,
    receivers: Number(receivers),
    lost: Number(lost),
    asked: Number(asked),
    least: Number(least),
    delivered,
  };
}

function holds(cell: MatrixCell): void {
  const line = cellLine(cell);
  assert.ok(COMMITTED.includes(line), `not in sim/matrix.txt: ${line}`);
}

test('up to a hundred receivers repair costs what the matrix says', () => {
  for (const place of MATRIX_PLACES) {
    for (const receivers of [1, 10, 100]) {
      for (const loss of MATRIX_LOSSES) holds(matrixCell(loss, receivers, place));
    }
  }
});

test('for a thousand receivers repair costs what the matrix says', () => {
  holds(matrixCell(0.05, 1_000, 'own'));
  holds(matrixCell(0.2, 1_000, 'shared'));
});

test('the matrix crosses places, losses and receivers, and everything is delivered', () => {
  const cells = COMMITTED.map((line) => cellOf(line));
  const crossed = MATRIX_PLACES.flatMap((place) =>
    MATRIX_RECEIVERS.flatMap((receivers) =>
      MATRIX_LOSSES.map((loss) => `${place} ${receivers} ${loss}`),
    ),
  );
  assert.deepEqual(
    cells.map(({ place, receivers, loss }) => `${place} ${receivers} ${loss}`),
    crossed,
  );
  for (const { delivered } of cells) assert.equal(delivered, 'all');
});

test('in no cell is more asked for than a third above the least that is possible', () => {
  const judged = COMMITTED.map((line) => cellOf(line)).filter(
    ({ lost }) => lost >= LOST_PACKETS_MIN,
  );
  assert.ok(judged.length >= 20);
  for (const { place, loss, receivers, asked, least } of judged) {
    const what = `${place} ${loss} ${receivers}: ${asked} where ${least} is the least`;
    assert.ok(asked <= TIMES_LEAST_MAX * least, what);
  }
});

test('of what all miss a thousand receivers ask for no more than ten do', () => {
  const shared = COMMITTED.map((line) => cellOf(line)).filter(
    ({ place, lost }) => place === 'shared' && lost > 0,
  );
  assert.equal(shared.length, MATRIX_RECEIVERS.length * (MATRIX_LOSSES.length - 1));
  for (const { loss, receivers, asked } of shared) {
    assert.ok(asked <= SHARED_ASKED_MAX, `${receivers} receivers, ${loss} lost: ${asked}`);
  }
});

test('the least is what a hundred thousand packets need that are sent until all have them', () => {
  const cases: [loss: number, receivers: number][] = [
    [0.2, 1],
    [0.2, 10],
    [0.05, 100],
  ];
  for (const [loss, receivers] of cases) {
    let state = 1;
    const isLost = (): boolean => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state / 2 ** 32 < loss;
    };
    let lost = 0;
    let requests = 0;
    for (let packet = 0; packet < 1e6 / receivers; packet += 1) {
      let missing = receivers;
      for (let isFirst = true; missing > 0; isFirst = false) {
        if (!isFirst)
          do requests += 1;
          while (isLost());
        missing = Array.from({ length: missing }, isLost).filter(Boolean).length;
        if (isFirst && missing > 0) lost += 1;
      }
    }
    const ratio = requests / lost / leastAsked(loss, receivers);
    assert.ok(Math.abs(ratio - 1) < 0.03, `${loss} ${receivers}: ${ratio}`);
  }
});
