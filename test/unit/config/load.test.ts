import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { BackcastError } from '#base/mod.ts';
import { apiUrl, loadConfig, redact, redactUrl, SETTINGS, type Config } from '#config/mod.ts';
import { createTestFolder } from '#test/support/folder.ts';

/** The configuration that `yaml` and `env` make in a folder where nothing else is. */
async function load(
  yaml: string | undefined,
  env: Record<string, string> = {},
  flags: { flag: string; name: string; value: unknown }[] = [],
): Promise<Config> {
  await using folder = await createTestFolder();
  if (yaml !== undefined) writeFileSync(join(folder.path, 'backcast.yaml'), yaml);
  return loadConfig({ cwd: folder.path, env, flags });
}

/** The lines of the error that `yaml` and `env` make. */
async function problems(
  yaml: string | undefined,
  env: Record<string, string> = {},
): Promise<string[]> {
  try {
    await load(yaml, env);
  } catch (error) {
    assert.ok(error instanceof BackcastError);
    assert.equal(error.code, 'BACKCAST_CONFIG_INVALID');
    const lines = error.message.split('\n').map((line) => line.trim());
    return lines.length === 1 ? lines : lines.slice(1);
  }
  return assert.fail('the configuration was accepted');
}

test('without any source there are the defaults', async () => {
  const config = await load(undefined);
  assert.equal(config.api.port, 8_080);
  assert.equal(config.interface, '127.0.0.1');
  assert.deepEqual(config.archiver.channels, ['*']);
  assert.equal(config.databaseUrl, undefined);
  assert.equal('databaseUrl' in config, false);
});

test('every default is a value that its setting accepts', async () => {
  const lines = SETTINGS.filter(({ schema }) => schema.default !== undefined);
  for (const { name, schema } of lines)
    await assert.doesNotReject(
      load(undefined, {}, [{ flag: '--x', name, value: schema.default }]),
      name,
    );
});

test('flags win over the environment, that over the file, that over defaults', async () => {
  const yaml = 'api:\n  port: 1\n  host: file\n';
  const env = { BACKCAST_PORT: '2', BACKCAST_HOST: 'env' };
  const flags = [{ flag: '--port', name: 'api.port', value: '3' }];
  assert.equal((await load(yaml)).api.port, 1);
  assert.equal((await load(yaml, env)).api.port, 2);
  assert.equal((await load(yaml, env, flags)).api.port, 3);
  assert.equal((await load(yaml, env, flags)).api.host, 'env');
  assert.equal((await load(yaml, {}, [{ ...flags[0], value: undefined }])).api.port, 1);
});

test('the configuration cannot be changed, not in its depths either', async () => {
  const config = await load('channels: [{name: a, group: 239.1.1.1, port: 7}]');
  assert.ok(Object.isFrozen(config.channels[0]));
  assert.ok(Object.isFrozen(config.registry.pool.ports));
  assert.throws(() => Object.assign(config.api, { port: 1 }), TypeError);
});

test('a second load does not see what the first was given', async () => {
  await load('registry: { pool: { groups: [239.9.9.9], ports: [1, 1] } }');
  assert.deepEqual((await load(undefined)).registry.pool.groups, ['239.192.0.0/20']);
});

test('the home folder becomes absolute', async () => {
  await using folder = await createTestFolder();
  const config = loadConfig({ cwd: folder.path, env: { BACKCAST_HOME: 'data' } });
  assert.equal(config.home, join(folder.path, 'data'));
});

test('a file can be named by flag or variable, and must then be there', async () => {
  await using folder = await createTestFolder();
  writeFileSync(join(folder.path, 'mine.yaml'), 'api: { port: 7 }');
  const byFlag = loadConfig({ cwd: folder.path, env: {}, file: 'mine.yaml' });
  const byVariable = loadConfig({ cwd: folder.path, env: { BACKCAST_CONFIG: 'mine.yaml' } });
  assert.equal(byFlag.api.port, 7);
  assert.equal(byVariable.api.port, 7);
  assert.throws(() => loadConfig({ cwd: folder.path, env: {}, file: 'other.yaml' }), {
    code: 'BACKCAST_CONFIG_INVALID',
    message: /other\.yaml cannot be read: ENOENT/,
  });
});

test('an unknown key is refused with its place and the nearest known name', async () => {
  assert.deepEqual(await problems('api:\n  port: 1\narchiver:\n  chanels: [a]\n'), [
    'backcast.yaml:4: unknown key `archiver.chanels` — did you mean `archiver.channels`?',
  ]);
});

const NEAR: readonly [string, string | undefined][] = [
  ['database_url: x', 'databaseUrl'],
  ['Database-URL: x', 'databaseUrl'],
  ['port: 1', undefined],
  ['logs: { level: info }', 'log'],
  ['registry: { poool: { dport: 1 } }', 'registry.pool'],
  ['registry: { pool: { dprot: 1 } }', 'registry.pool.dport'],
  ['completelyDifferent: 1', undefined],
  ['constructor: 1', undefined],
  ['__proto__: 1', undefined],
];

for (const [yaml, name] of NEAR)
  test(`the unknown key in "${yaml}" is near ${name ?? 'nothing'}`, async () => {
    const [line] = await problems(yaml);
    assert.match(line, /unknown key/);
    assert.equal(/did you mean `(.*)`/.exec(line)?.[1], name);
  });

test('all that is wrong is told at once, each with its place', async () => {
  const yaml = 'api:\n  port: 99999\n  hots: x\nlog: loud\n';
  assert.deepEqual(await problems(yaml, { BACKCAST_SHARDS: 'many', BACKCAST_PROT: '1' }), [
    'backcast.yaml:3: unknown key `api.hots` — did you mean `api.host`?',
    'backcast.yaml:4: `log` is not a section of names and values',
    'environment BACKCAST_PROT: unknown — did you mean `BACKCAST_PORT`?',
    'backcast.yaml:2: `api.port`: 99999 is not a whole number from 0 to 65535',
    'environment BACKCAST_SHARDS: `archiver.shards`: "many" is not auto or a whole number ' +
      'from 1 to 256',
  ]);
});

const WRONG: readonly [string, RegExp][] = [
  ['api: { port: "8080" }', /"8080" is not a whole number/],
  ['api: { port: 80.5 }', /80\.5 is not a whole number/],
  ['api: { port: .nan }', /is not a whole number/],
  ['log: { pretty: yes please }', /is not auto or true or false/],
  ['log: { level: loud }', /"loud" is not one of trace, debug, info/],
  ['archiver: { channels: orders }', /"orders" is not a list of texts/],
  ['archiver: { channels: [a b] }', /\["a b"\] is not a list of texts/],
  ['archiver: { channels: [] }', /\[\] is not a list/],
  ['registry: { pool: { ports: [1, 2, 3] } }', /is not two numbers/],
  ['registry: { pool: { ports: [9, 2] } }', /ends before it begins/],
  ['unicast: { ports: [9, 2] }', /`unicast\.ports` \[9, 2\] ends before it begins/],
  [
    'channels: [{ name: a, group: 239.0.0.1, port: 1, framing: raw, delivery: unicast }]',
    /"a" has unicast delivery, which needs framing native/,
  ],
  [
    "channels: [{ name: a, group: 239.0.0.1, port: 1, members: ['10.0.0.1:7'] }]",
    /"a" has members, which need delivery unicast/,
  ],
  [
    "channels: [{ name: a, group: 239.0.0.1, port: 1, delivery: unicast, members: ['0.0.0.0:7'] }]",
    /"a": 0\.0\.0\.0:7 is not the address and port of one host/,
  ],
  [
    'channels: [{ name: a, group: 239.0.0.1, port: 1, delivery: unicast, members: [host] }]',
    /`channels\[0\]\.members`: \["host"\] is not a list of texts/,
  ],
  ['registry: { kind: redis }', /`redisUrl` \(REDIS_URL\) is not given/],
  ['publisher: { windowBytes: 65536 }', /could not be repaired/],
  ['publisher: { windowPackets: 1489 }', /it needs 1490 at least/],
  ['publisher: { windowPackets: 16 }', /does not fit `publisher\.windowPackets` 16/],
  ['channels: [{ name: a, group: 10.0.0.1, port: 1 }]', /`channels\[0\]\.group`: "10\.0\.0\.1"/],
  ['channels: [{ name: a, group: 239.0.0.01, port: 1 }]', /`channels\[0\]\.group`/],
  ['channels: [{ name: a, port: 1 }]', /`channels\[0\]\.group` is missing/],
  [
    'channels: [{ name: a, group: 239.1.1.1, prot: 1 }]',
    /did you mean `port`\? in `channels\[0\]`/,
  ],
  ['channels: [a]', /`channels\[0\]`: "a" is not a section/],
  ['channels: { a: 1 }', /is not a list/],
  ['[1, 2]', /the file is not a section/],
  ['just text', /the file is not a section/],
  ['a: 1\na: 2', /Map keys must be unique/],
  ['api: {', /backcast\.yaml:1: /],
  ['a: &a [x]\nb: [*a, *c]', /backcast\.yaml:\d+: /],
];

for (const [yaml, message] of WRONG)
  test(`${JSON.stringify(yaml)} is refused with a reason`, async () => {
    assert.match((await problems(yaml)).join('\n'), message);
  });

function channel(name: string, port: number): string {
  return `{ name: ${name}, group: 239.1.1.1, port: ${port} }`;
}

test('two channels cannot have one name or one address', async () => {
  assert.match(
    (await problems(`channels: [${channel('a', 1)}, ${channel('a', 2)}]`)).join(),
    /"a" stands there twice/,
  );
  assert.match(
    (await problems(`channels: [${channel('a', 1)}, ${channel('b', 1)}]`)).join(),
    /"b" and "a" have the same address 239\.1\.1\.1:1 dport 7500/,
  );
});

test('a channel may have an IPv6 group in any text, and sources of its family', async () => {
  const group = "'FF15:0::1:7'";
  const good = `{ name: a, group: ${group}, port: 1, sources: ['FD00::1'] }`;
  const config = await load(`channels: [${good}]`);
  assert.deepEqual(config.channels[0]?.sources, ['FD00::1']);
  const wrong: readonly (readonly [fields: string, problem: RegExp])[] = [
    ["name: b, group: 'ff15::1::7', port: 1", /ff15::1::7 is not a multicast group/],
    ["name: b, group: 'ff15::1:7', port: 1", /"b" and "a" have the same address \[ff15::1:7\]:1/],
    ["name: b, group: 'ff15::1', port: 1, sources: [10.0.0.1]", /"b": source 10.0.0.1 is no IPv6/],
    ['name: b, group: 239.1.1.1, port: 1, sources: [host]', /"b": source host is not the IP/],
    ['name: b, group: 239.1.1.1, port: 1, sources: []', /`channels\[1\]\.sources`/],
    ['name: b, group: 232.1.1.1, port: 1', /receivers of the group 232\.1\.1\.1 must name/],
    ["name: b, group: 'ff3e::1', port: 1", /receivers of the group ff3e::1 must name/],
  ];
  for (const [fields, problem] of wrong)
    assert.match((await problems(`channels: [${good}, { ${fields} }]`)).join(), problem);
});

test('an empty section, an empty value and an empty variable are not given', async () => {
  const config = await load('api:\ndatabaseUrl:\n', { REDIS_URL: '', BACKCAST_PORT: '' });
  assert.equal(config.api.port, 8_080);
  assert.equal(config.databaseUrl, undefined);
  assert.equal(config.redisUrl, undefined);
});

test('an empty file is a file without settings', async () => {
  assert.equal((await load('')).api.port, 8_080);
  assert.equal((await load('# nothing\n')).api.port, 8_080);
});

test('variables that only begin like ours are somebody else’s', async () => {
  const env = { BACKCAST_SERVICE_HOST: 'x', BACKCAST_PORT_8080_TCP_ADDR: 'x', PATH: 'x' };
  assert.equal((await load(undefined, env)).api.port, 8_080);
});

test('the environment gives lists with commas, numbers and truths as such', async () => {
  const config = await load(undefined, {
    BACKCAST_CHANNELS: 'orders.*, trades',
    BACKCAST_SHARDS: '3',
    BACKCAST_LOG_PRETTY: 'false',
  });
  assert.deepEqual(config.archiver.channels, ['orders.*', 'trades']);
  assert.equal(config.archiver.shards, 3);
  assert.equal(config.log.pretty, false);
});

test('YAML anchors serve, and a bomb of them is refused', async () => {
  const config = await load('archiver: &a { batchAgeMs: 5 }\n');
  assert.equal(config.archiver.batchAgeMs, 5);
  const levels = Array.from({ length: 12 }, (_, level) => {
    const inner = level === 0 ? '"x"' : `*l${level - 1}`;
    return `- &l${level} [${Array(12).fill(inner).join(', ')}]`;
  });
  await assert.rejects(load(`channels:\n${levels.map((line) => `  ${line}`).join('\n')}\n`));
});

test('a wrong URL is refused without showing it', async () => {
  for (const name of ['DATABASE_URL', 'REDIS_URL']) {
    const [line] = await problems(undefined, { [name]: 'mysql://me:sesame@host' });
    assert.match(
      line,
      new RegExp(`environment ${name}: .*the value is not a URL that begins with`),
    );
    assert.doesNotMatch(line, /sesame/);
  }
});

test('the redacted configuration has everything but the passwords', async () => {
  const config = await load(undefined, {
    DATABASE_URL: 'postgres://me:sesame@db:5432/backcast?sslmode=require&sslpassword=sesame',
    REDIS_URL: 'rediss://:sesame@r:6380',
  });
  const text = JSON.stringify(redact(config));
  assert.doesNotMatch(text, /sesame/);
  assert.match(text, /postgres:\/\/me:\*\*\*@db:5432\/backcast\?sslmode=require/);
  assert.match(config.databaseUrl ?? '', /sesame/);
  assert.equal(redactUrl('/run/redis.sock?password=sesame'), '/run/redis.sock?***');
  assert.equal(redactUrl('not a url sesame'), '***');
  assert.equal(redactUrl('redis://h:1'), 'redis://h:1');
});

test('the API is found where it listens unless told otherwise', async () => {
  assert.equal(apiUrl(await load(undefined)), 'http://127.0.0.1:8080');
  assert.equal(apiUrl(await load('api: { host: 0.0.0.0, port: 1 }')), 'http://127.0.0.1:1');
  assert.equal(apiUrl(await load('api: { host: "::" }')), 'http://[::1]:8080');
  assert.equal(apiUrl(await load('', { BACKCAST_API: 'https://api/x/' })), 'https://api/x');
});
