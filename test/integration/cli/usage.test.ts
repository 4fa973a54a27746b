// The command line before any work: help, wrong usage, wrong configuration.

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { runBackcast } from '#test/support/cli.ts';
import { createTestFolder } from '#test/support/folder.ts';

const COMMANDS = [
  ['up'],
  ['publish'],
  ['subscribe'],
  ['history'],
  ['channels'],
  ['sessions'],
  ['losses'],
  ['audit'],
  ['archive'],
  ['serve'],
  ['migrate'],
  ['bench', 'archive'],
  ['bench', 'live'],
];

test('every command has help with examples and exit codes', async () => {
  for (const command of COMMANDS) {
    const { end, stdout, stderr } = await runBackcast([...command, '--help']);
    assert.deepEqual([end, stderr], [0, ''], command.join(' '));
    assert.match(stdout, new RegExp(`^Usage: backcast ${command.join(' ')} `), command.join(' '));
    assert.match(stdout, /\nExamples:\n  .*\bbackcast /, command.join(' '));
    assert.match(
      stdout,
      /\nExit codes:\n  0 .*\n  1 .*\n  2 .*\n  130 .*\n  143 /,
      command.join(' '),
    );
  }
});

test('the version is that of the package', async () => {
  assert.match((await runBackcast(['--version'])).stdout, /^\d+\.\d+\.\d+\n$/);
});

test('without a command there is help and exit code 2', async () => {
  const { end, stdout, stderr } = await runBackcast([]);
  assert.deepEqual([end, stdout], [2, '']);
  assert.match(stderr, /^Usage: backcast /);
});

const WRONG: readonly [readonly string[], RegExp][] = [
  [
    ['histroy'],
    /^backcast: unknown command 'histroy' \(Did you mean history\?\) \(BACKCAST_USAGE\)\n$/,
  ],
  [['history'], /^backcast: missing required argument 'channel' \(BACKCAST_USAGE\)\n$/],
  [['history', 'a', 'b'], /^backcast: too many arguments .*\(BACKCAST_USAGE\)\n$/],
  [
    ['history', 'a', '--limt', '1'],
    /^backcast: unknown option '--limt' \(Did you mean --limit\?\) /,
  ],
  [
    ['history', 'a', '--limit', '0'],
    /^backcast: option '--limit <count>' argument '0' is invalid\. .*\n$/,
  ],
  [['history', 'a', '--after', '1e3'], /argument '1e3' is invalid.*\(BACKCAST_USAGE\)\n$/],
  [['history', 'a/b'], /^backcast: "a\/b" cannot name a channel: .*\(BACKCAST_CHANNEL_NAME\)\n$/],
  [['sessions', '..'], /^backcast: "\.\." cannot name a channel/],
  [
    ['serve', '--port', 'http'],
    /^backcast: --port: `api\.port`: "http" is not .*\(BACKCAST_CONFIG_INVALID\)\n$/,
  ],
  [['publish', 'a', '--group', '10.0.0.1:1'], /^backcast: --group "10\.0\.0\.1:1" is not .*\n$/],
  [
    ['subscribe', 'a', '--group', '239.0.0.1:5555', '--framing', 'zmq', '--dport', '7500'],
    /^backcast: --dport 7500 does not go with --framing zmq, which takes the port, 5555.*\n$/,
  ],
  [
    ['subscribe', 'a', '--metrics-port', '65536'],
    /'65536' is invalid\. It is not a whole number from 0 to 65535\. \(BACKCAST_USAGE\)\n$/,
  ],
  [['publish', 'a', '--framing', 'xml'], /Allowed choices are native, raw, zmq.*\n$/],
  [
    ['channels', '--config', 'no.yaml'],
    /no\.yaml cannot be read: ENOENT.*\(BACKCAST_CONFIG_INVALID\)\n$/,
  ],
];

for (const [args, message] of WRONG)
  test(`\`backcast ${args.join(' ')}\` is refused on one line with exit code 2`, async () => {
    const { end, stdout, stderr } = await runBackcast(args);
    assert.deepEqual([end, stdout], [2, '']);
    assert.match(stderr, message);
    assert.equal(stderr.trimEnd().split('\n').length, 1);
  });

test('flags win over the environment, and that over the file in the current folder', async () => {
  await using folder = await createTestFolder();
  await writeFile(join(folder.path, 'backcast.yaml'), 'api: { url: "http://127.0.0.1:1/file" }\n');
  const cwd = folder.path;
  const env = { BACKCAST_API: 'http://127.0.0.1:1/env' };
  const flag = ['--api', 'http://127.0.0.1:1/flag'];
  assert.match((await runBackcast(['channels'], { cwd })).stderr, /:1\/file cannot be used/);
  assert.match((await runBackcast(['channels'], { cwd, env })).stderr, /:1\/env cannot be used/);
  assert.match((await runBackcast(['channels', ...flag], { cwd, env })).stderr, /:1\/flag cannot/);
});

test('all that is wrong with the configuration is told, each on its line', async () => {
  await using folder = await createTestFolder();
  await writeFile(join(folder.path, 'backcast.yaml'), 'api: { prot: 1 }\nlogs: 1\n');
  const { end, stderr } = await runBackcast(['channels'], { cwd: folder.path });
  assert.equal(end, 2);
  assert.match(
    stderr,
    /^backcast: 2 problems in the configuration:\n  backcast\.yaml:1: .*`api\.port`/,
  );
});
