import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { editDistance, loadConfig, readYaml } from '#config/mod.ts';
import { BackcastError } from '#base/mod.ts';

const words = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 7 });

/** The definition, tried out in full. */
function modelDistance(left: string, right: string): number {
  if (left === '' || right === '') return left.length + right.length;
  const replace = modelDistance(left.slice(1), right.slice(1)) + (left[0] === right[0] ? 0 : 1);
  const shorter = Math.min(
    modelDistance(left.slice(1), right),
    modelDistance(left, right.slice(1)),
  );
  return Math.min(replace, shorter + 1);
}

test('the edit distance is what its definition says', () => {
  fc.assert(
    fc.property(words, words, (left, right) => {
      assert.equal(editDistance(left, right), modelDistance(left, right));
    }),
    { numRuns: 60 },
  );
});

test('whatever the environment holds, there is a configuration or a BackcastError', () => {
  const names = ['BACKCAST_PORT', 'BACKCAST_SHARDS', 'BACKCAST_CHANNELS', 'DATABASE_URL'];
  const env = fc.dictionary(fc.constantFrom(...names), fc.string());
  fc.assert(
    fc.property(env, (variables) => {
      try {
        assert.ok(Object.isFrozen(loadConfig({ cwd: '/nonexistent', env: variables })));
      } catch (error) {
        assert.ok(error instanceof BackcastError, String(error));
      }
    }),
  );
});

test('any text read as YAML gives assignments or problems', () => {
  const line = fc.oneof(
    fc.string(),
    fc.constantFrom('api:', '  port: 1', '- a', '? b', ': c', '&a', '*a', '{', '}', '<<: *a'),
  );
  fc.assert(
    fc.property(fc.array(line), (lines) => {
      const { assignments, problems } = readYaml(lines.join('\n'), 'f');
      assert.ok(Array.isArray(assignments) && Array.isArray(problems));
    }),
  );
});
