import assert from 'node:assert/strict';
import test from 'node:test';
import { seededRandom } from '#base/mod.ts';
import {
  GroupSize,
  NAK_GROUP_SIZE_FIRST,
  NAK_GROUP_SIZE_MAX,
  NAK_GROUP_SIZE_MIN,
} from '#multicast/core/group-size.ts';

/** Takes in `losses` losses that `receivers` share: the least of that many uniform numbers each. */
function learn(size: GroupSize, receivers: number, losses: number, seed = 1): void {
  const random = seededRandom(seed);
  for (let loss = 0; loss < losses; loss += 1) {
    let least = 1;
    for (let n = 0; n < receivers; n += 1) least = Math.min(least, random());
    size.sample(least);
  }
}

test('before the first request a hundred are assumed', () => {
  const { estimate } = new GroupSize();
  assert.ok(Math.abs(estimate - NAK_GROUP_SIZE_FIRST) < 1e-9);
});

test('after some losses the estimate is right within a factor of five, on average of 1.2', () => {
  for (const receivers of [30, 200, 1_000, 5_000]) {
    let logs = 0;
    const runs = 40;
    for (let seed = 1; seed <= runs; seed += 1) {
      const size = new GroupSize();
      learn(size, receivers, 30, seed);
      const factor = size.estimate / receivers;
      assert.ok(factor > 1 / 5 && factor < 5, `${size.estimate} of ${receivers}`);
      logs += Math.log(factor);
    }
    assert.ok(Math.abs(logs / runs) < Math.log(1.2), `${receivers}: ${logs / runs}`);
  }
});

test('a receiver that is alone, and one of very many, stay within the bounds', () => {
  const alone = new GroupSize();
  learn(alone, 1, 50);
  assert.equal(alone.estimate, NAK_GROUP_SIZE_MIN);
  const crowded = new GroupSize();
  for (let loss = 0; loss < 50; loss += 1) crowded.sample(0);
  assert.equal(crowded.estimate, NAK_GROUP_SIZE_MAX);
});

test('what was true before is forgotten within some losses', () => {
  const size = new GroupSize();
  learn(size, 5_000, 50);
  learn(size, 1, 50, 2);
  assert.equal(size.estimate, NAK_GROUP_SIZE_MIN);
});
