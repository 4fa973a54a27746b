import assert from 'node:assert/strict';
import test from 'node:test';
import { HeartbeatSchedule, HEARTBEAT_MS_MAX, SPM_AMBIENT_MS } from '#multicast/core/heartbeat.ts';

/** The times of the next SPMs up to `untilMs`, each sent when due but not before `fromMs`. */
function beats(heartbeat: HeartbeatSchedule, untilMs: number, fromMs = 0): number[] {
  const times: number[] = [];
  while (heartbeat.nextAtMs <= untilMs) {
    const nowMs = Math.max(fromMs, heartbeat.nextAtMs);
    times.push(nowMs);
    heartbeat.spmSent(nowMs);
  }
  return times;
}

test('a new publisher shows itself three times in quick succession, then ever less', () => {
  const heartbeat = new HeartbeatSchedule(1_000);
  assert.deepEqual(
    beats(heartbeat, 8_190).map((ms) => ms - 1_000),
    [0, 20, 40, 90, 190, 390, 790, 1_590, 3_190, 5_190, 7_190],
  );
});

test('after the last data five SPMs leave within a second', () => {
  const heartbeat = new HeartbeatSchedule(0);
  beats(heartbeat, 999);
  heartbeat.spmSent(999);
  heartbeat.dataSent(1_000);
  assert.deepEqual(beats(heartbeat, 2_000), [1_050, 1_100, 1_200, 1_400, 1_800]);
});

test('the first data after a silence brings an SPM with it', () => {
  const heartbeat = new HeartbeatSchedule(0);
  beats(heartbeat, 9_999);
  heartbeat.dataSent(10_000);
  assert.deepEqual(beats(heartbeat, 10_100, 10_000), [10_000, 10_050]);
});

test('however much data flows, an SPM leaves in each ambient interval', () => {
  const heartbeat = new HeartbeatSchedule(0);
  const times: number[] = [];
  for (let nowMs = 0; nowMs <= 2_000; nowMs += 1) {
    if (heartbeat.nextAtMs <= nowMs) {
      times.push(nowMs);
      heartbeat.spmSent(nowMs);
    }
    heartbeat.dataSent(nowMs);
  }
  for (let index = 1; index < times.length; index += 1) {
    assert.ok((times[index] ?? 0) - (times[index - 1] ?? 0) <= SPM_AMBIENT_MS);
  }
  assert.ok(times.length < 16, `${times.length} SPMs in two seconds`);
});

test('a quiet publisher beats steadily for ever', () => {
  const heartbeat = new HeartbeatSchedule(0);
  beats(heartbeat, 60_000);
  const times = beats(heartbeat, 3_660_000);
  assert.equal(times.length, 3_600_000 / HEARTBEAT_MS_MAX);
});

test('a closing publisher shows its end three times in quick succession, then steadily', () => {
  const heartbeat = new HeartbeatSchedule(0);
  beats(heartbeat, 100);
  heartbeat.close(1_000);
  heartbeat.dataSent(1_001);
  assert.deepEqual(beats(heartbeat, 1_700), [1_000, 1_020, 1_040, 1_290, 1_540]);
});
