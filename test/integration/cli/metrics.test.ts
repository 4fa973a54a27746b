// --metrics-port of publish and subscribe as Prometheus meets it.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { type RunningCommand, runBackcast, startBackcast } from '#test/support/cli.ts';
import { readExposition } from '#test/support/exposition.ts';
import { reserveGroup } from '#test/support/multicast.ts';
import { until } from '#test/support/until.ts';

const LIMITS = { timeout: 60_000 };

/** A command that serves its metrics. */
interface Serving {
  readonly command: RunningCommand;
  readonly url: string;
  readonly ended: Promise<unknown>;
}

/** Starts a command and waits until it says where its metrics are. */
async function startServing(args: readonly string[]): Promise<Serving> {
  const command = startBackcast(args);
  const ended = once(command, 'close');
  let said = '';
  command.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  command.stdout.resume();
  const url = await until('metrics are served', () => /metrics at (http\S+)/.exec(said)?.[1]);
  return { command, url, ended };
}

async function valueOf(url: string, name: string): Promise<number | undefined> {
  const answer = await fetch(url);
  const { samples } = readExposition(await answer.text());
  const found = samples.find((sample) => sample.name === name);
  return found?.labels['channel'] === 'tour' ? found.value : undefined;
}

test('publish and subscribe serve what they count while they run', LIMITS, async () => {
  await using reserved = await reserveGroup();
  const at = ['tour', '--group', `${reserved.group}:${reserved.port}`, '--metrics-port', '0'];
  const subscriber = await startServing(['subscribe', ...at]);
  const publisher = await startServing(['publish', ...at]);
  publisher.command.stdin.write('one\ntwo\nthree\n');
  await until('three messages are delivered', async () => {
    const delivered = 'backcast_receiver_delivered_messages_total';
    return (await valueOf(subscriber.url, delivered)) === 3;
  });
  assert.equal(await valueOf(publisher.url, 'backcast_publisher_accepted_messages_total'), 3);
  assert.equal(await valueOf(publisher.url, 'backcast_transport_send_errors_datagrams_total'), 0);
  assert.equal(await valueOf(subscriber.url, 'backcast_transport_captured_datagrams_total'), 0);
  publisher.command.stdin.end();
  await publisher.ended;
  assert.equal(publisher.command.exitCode, 0);
  await assert.rejects(fetch(publisher.url));
  subscriber.command.kill('SIGINT');
  await subscriber.ended;
});

test('a port in use for metrics ends the command with an error that says so', LIMITS, async () => {
  await using reserved = await reserveGroup();
  const at = ['tour', '--group', `${reserved.group}:${reserved.port}`, '--metrics-port'];
  const first = await startServing(['subscribe', ...at, '0']);
  const second = await runBackcast(['subscribe', ...at, new URL(first.url).port]);
  assert.notEqual(second.end, 0);
  assert.match(second.stderr, /BACKCAST_PORT_IN_USE/);
  first.command.kill('SIGINT');
  await first.ended;
});
