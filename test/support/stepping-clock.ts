// Loaded before a program (`node --import`): its date, in every thread, is off by as many
// milliseconds as stand in the file that TEST_CLOCK_FILE names. The monotonic clock stays.

import { readFileSync } from 'node:fs';

const path = process.env['TEST_CLOCK_FILE'] ?? '';
const READ_EVERY_MS = 20;
const dateNow = Date.now;
let stepMs = 0;
let readAtMs = Number.NEGATIVE_INFINITY;

Date.now = (): number => {
  const nowMs = performance.now();
  if (nowMs - readAtMs > READ_EVERY_MS) {
    readAtMs = nowMs;
    stepMs = Number(readFileSync(path, 'utf8'));
  }
  return dateNow() + stepMs;
};
