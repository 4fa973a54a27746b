// `npm run matrix`: loss × receivers, simulated with a fixed seed, as text that is committed, so
// that a change in what repair costs shows as a diff. Compares; UPDATE=1 rewrites sim/matrix.txt.

import { readFileSync, writeFileSync } from 'node:fs';
import { MATRIX_LOSSES, MATRIX_PLACES, MATRIX_RECEIVERS } from './matrix-cell.ts';
import { matrixLine, matrixTitle } from './matrix-text.ts';

const PATH = new URL('matrix.txt', import.meta.url);

const lines = [matrixTitle()];
for (const place of MATRIX_PLACES) {
  for (const receivers of MATRIX_RECEIVERS) {
    for (const loss of MATRIX_LOSSES) lines.push(matrixLine(loss, receivers, place));
    process.stderr.write(`${place} loss, ${receivers} receivers done\n`);
  }
}
const text = `${lines.join('\n')}\n`;
process.stdout.write(text);
if (process.env['UPDATE'] === '1') writeFileSync(PATH, text);
else if (readFileSync(PATH, 'utf8') !== text) {
  process.stderr.write('differs from sim/matrix.txt; UPDATE=1 npm run matrix accepts it\n');
  process.exitCode = 1;
}
