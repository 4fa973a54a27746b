import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SpoolLog } from '#ingest/spool-log.ts';

const QUIET = {
  spooling: false,
  leading: true,
  spoolBytes: 0,
  receivedPosition: 100,
  archivedPosition: 100,
};

/** A log that keeps what it is told. */
function newLog() {
  const lines: string[] = [];
  const keep = (fields: Record<string, unknown>, message: string): void => {
    const { channel, ...numbers } = fields;
    lines.push(`${String(channel)}: ${message} ${Object.values(numbers).join(' ')}`);
  };
  return { lines, info: keep, warn: keep };
}

test('a spool that is used for long is told now and then, with what is left', () => {
  const log = newLog();
  const spools = new SpoolLog(log, 1_000);
  const at = (seconds: number, numbers: Partial<typeof QUIET>): void => {
    spools.handleCounters({ orders: { ...QUIET, ...numbers } }, seconds * 1_000);
  };
  at(0, {});
  at(1, { spooling: true });
  at(2, { spooling: true, receivedPosition: 150 });
  at(3, { spooling: true, receivedPosition: 200, spoolBytes: 200 });
  at(9, { spooling: true, receivedPosition: 500, spoolBytes: 400 });
  at(18, { spooling: true, receivedPosition: 800, archivedPosition: 600, spoolBytes: 500 });
  at(33, { spooling: true, receivedPosition: 900, archivedPosition: 800, spoolBytes: 500 });
  at(34, { receivedPosition: 900, archivedPosition: 900 });
  at(35, { receivedPosition: 900, archivedPosition: 900 });
  assert.deepEqual(log.lines, [
    'orders: spooling 100 0 200 8',
    'orders: spooling 200 33 500 25',
    'orders: archiving what was spooled 100 13 500 15',
    'orders: nothing waits in the spool any more 33',
  ]);
});

test('a short use is not told, and neither is that of a standby', () => {
  const log = newLog();
  const spools = new SpoolLog(log, 1_000);
  for (let seconds = 0; seconds < 100; seconds += 1) {
    const isBrief = seconds % 3 === 0;
    spools.handleCounters(
      {
        orders: { ...QUIET, spooling: isBrief },
        trades: { ...QUIET, spooling: true, leading: false },
      },
      seconds * 1_000,
    );
  }
  assert.deepEqual(log.lines, []);
});
