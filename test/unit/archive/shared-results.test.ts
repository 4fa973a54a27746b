import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Question, SharedResults } from '#archive/shared-results.ts';

const BYTES_MAX = 10_000;

/** A question that counts how often it was asked, and is answered with that when told to. */
function counting(key: string) {
  const asks: PromiseWithResolvers<number>[] = [];
  const started: PromiseWithResolvers<void>[] = [1, 2, 3].map(() => Promise.withResolvers());
  const question: Question<number> = {
    key,
    ask: () => {
      const ask = Promise.withResolvers<number>();
      started[asks.push(ask) - 1].resolve();
      return ask.promise;
    },
    bytesOf: () => 10,
  };
  return {
    question,
    get asked() {
      return asks.length;
    },
    /** Until it has been asked so often. */
    asking: (count: number) => started[count - 1].promise,
    answer: (count: number) => asks[count - 1].resolve(count),
  };
}

test('who asks the same before the statement is started has the same answer', async () => {
  const results = new SharedResults(BYTES_MAX);
  const one = counting('same');
  const both = [results.get(one.question, results.now), results.get(one.question, results.now)];
  await one.asking(1);
  one.answer(1);
  const values = (await Promise.all(both)).map(({ value }) => value);
  assert.deepEqual(values, [1, 1]);
});

test('who comes after the statement was started waits for the next, and shares it', async () => {
  const results = new SharedResults(BYTES_MAX);
  const one = counting('same');
  const first = results.get(one.question, results.now);
  await one.asking(1);
  const later = [results.get(one.question, results.now), results.get(one.question, results.now)];
  let askedBefore = 0;
  const seen = first.then(() => (askedBefore = one.asked));
  one.answer(1);
  await one.asking(2);
  await seen;
  assert.equal(askedBefore, 1, 'of the same question one is under way');
  one.answer(2);
  const values = (await Promise.all(later)).map(({ value }) => value);
  assert.deepEqual(values, [2, 2]);
});

test('who came before has an answer that is there already, who comes after has not', async () => {
  const results = new SharedResults(BYTES_MAX);
  const one = counting('same');
  const came = results.now;
  const first = results.get(one.question, came);
  await one.asking(1);
  one.answer(1);
  const { finishedAt } = await first;
  assert.equal((await results.get(one.question, came)).value, 1);
  const after = results.get(one.question, finishedAt);
  await one.asking(2);
  one.answer(2);
  assert.equal((await after).value, 2);
});

test('a failure is everybody’s who waited for it, and nobody’s after', async () => {
  const results = new SharedResults(BYTES_MAX);
  const came = results.now;
  let isAway = true;
  const ask = async (): Promise<string> => {
    if (isAway) throw new Error('away');
    return 'back';
  };
  const question = { key: 'same', ask, bytesOf: () => 1 };
  const both = [results.get(question, came), results.get(question, came)];
  for (const one of both) await assert.rejects(one, /away/);
  isAway = false;
  assert.equal((await results.get(question, came)).value, 'back');
});

test('what is not worth keeping is asked again', async () => {
  const results = new SharedResults(BYTES_MAX);
  const question = { key: 'large', ask: () => Promise.resolve(1), bytesOf: () => undefined };
  const came = results.now;
  await results.get(question, came);
  await results.get(question, came);
  assert.deepEqual(results.counts, { asked: 2, started: 2 });
});

test('more than may be kept pushes out what nobody has asked for the longest', async () => {
  const results = new SharedResults(BYTES_MAX);
  const came = results.now;
  const ask = (key: string) =>
    results.get({ key, ask: () => Promise.resolve(key), bytesOf: () => 2_500 }, came);
  for (const key of ['a', 'b', 'a', 'c', 'd', 'a', 'b']) await ask(key);
  assert.deepEqual(results.counts, { asked: 7, started: 5 });
});

test('what was asked before everything was forgotten is not kept', async () => {
  const results = new SharedResults(BYTES_MAX);
  const one = counting('same');
  const came = results.now;
  const first = results.get(one.question, came);
  await one.asking(1);
  results.clear();
  one.answer(1);
  await first;
  const again = results.get(one.question, came);
  await one.asking(2);
  one.answer(2);
  assert.equal((await again).value, 2);
});
