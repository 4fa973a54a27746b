// The container files, read as data: no engine is needed to hold that they fit each other and the
// program.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { readProject } from './tidy/project.ts';
import { registeredCommands } from './tidy/rules-docs.ts';

interface Service {
  readonly image: string;
  readonly build?: string;
  readonly network_mode?: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly restart?: string;
  readonly init?: boolean;
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
}

interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, null>>;
}

const project = readProject(fileURLToPath(new URL('../..', import.meta.url)));
const text = textOf('docker-compose.yml');
const compose = parse(text, { merge: true }) as Compose;
const services = Object.entries(compose.services);
const ours = services.filter(([, { build }]) => build !== undefined);

function textOf(path: string): string {
  const text = project.texts.get(path);
  assert.ok(text !== undefined, `${path} is missing`);
  return text;
}

/** `text` as an engine reads it where no variable is set. */
function withDefaults(text: string): string {
  return text.replaceAll(/\$\{\w+:-([^}]*)\}/g, '$1');
}

function commandOf(name: string): string | undefined {
  return compose.services[name]?.command?.[0];
}

test('the stack is the whole path: database, registry, schema, archiver, API, publishers', () => {
  for (const name of ['postgres', 'redis', 'migrate', 'archiver', 'replay-api']) {
    assert.ok(compose.services[name], `${name} is missing`);
  }
  assert.equal(commandOf('migrate'), 'migrate');
  assert.equal(commandOf('archiver'), 'archive');
  assert.equal(commandOf('replay-api'), 'serve');
  const publishers = ours.filter(([, { command }]) => command?.[0] === 'publish');
  const channels = new Set(publishers.map(([, { command }]) => command?.[1]));
  assert.deepEqual([publishers.length, channels.size], [3, 2]);
});

test('what sends or hears multicast, or serves this host alone, uses its network', () => {
  for (const [name, service] of ours) {
    const command = service.command?.[0] ?? '';
    const isMulticast = ['archive', 'publish'].includes(command);
    const isOnHost = isMulticast || command === 'serve';
    assert.equal(service.network_mode, isOnHost ? 'host' : undefined, name);
    assert.equal('BACKCAST_INTERFACE' in (service.environment ?? {}), isMulticast, name);
    if (isOnHost) assert.equal(service.ports, undefined, `${name}: the host has no port mapping`);
  }
  assert.match(text, /^# Why host networking/m);
});

test('nothing is open to other hosts', () => {
  for (const [name, { ports = [] }] of services) {
    for (const port of ports) assert.match(port, /^127\.0\.0\.1:/, name);
  }
  const { command = [] } = compose.services['replay-api'] ?? {};
  assert.equal(withDefaults(command[command.indexOf('--host') + 1] ?? ''), '127.0.0.1');
});

test('nothing starts before what it needs is ready', () => {
  for (const [name, { depends_on: needs = {} }] of services) {
    for (const [other, { condition }] of Object.entries(needs)) {
      const needed = compose.services[other];
      assert.ok(needed, `${name} waits for ${other}, which does not exist`);
      if (condition === 'service_healthy')
        assert.ok(needed.healthcheck, `${other} tells no health`);
      if (condition === 'service_completed_successfully') assert.equal(needed.restart, 'no', other);
    }
  }
  assert.ok(compose.services['replay-api']?.healthcheck);
});

test('every word of a command is text, as an engine demands', () => {
  for (const [name, { command = [], healthcheck, environment = {} }] of services) {
    const words: unknown[] = [command, healthcheck?.test ?? [], Object.values(environment)].flat();
    for (const word of words) assert.equal(typeof word, 'string', `${name}: ${String(word)}`);
  }
});

test('the API is healthy when it says that it is ready', () => {
  const { healthcheck, command = [] } = compose.services['replay-api'] ?? {};
  const check = withDefaults(healthcheck?.test.join(' ') ?? '');
  const asked = /http:\/\/127\.0\.0\.1:(\d+)(\/\w+)/.exec(check);
  assert.equal(asked?.[1], withDefaults(command[command.indexOf('--port') + 1] ?? ''));
  assert.equal(asked?.[2], '/readyz');
  assert.match(textOf('replay-api/routes/operation.ts'), /'\/readyz'/);
});

test('what runs is told to stop, has time for it, and is started again', () => {
  for (const [name, { init, restart, command }] of ours) {
    assert.equal(init, true, `${name}: signals must reach the program`);
    assert.equal(restart, command?.[0] === 'migrate' ? 'no' : 'unless-stopped', name);
  }
  const [, graceSeconds] = /\[archive\][^]*?stop_grace_period: (\d+)s/.exec(text) ?? [];
  assert.ok(Number(graceSeconds) > 5, 'the archiver commits what it heard');
});

test('the demo is the one of `backcast up --demo`', () => {
  const cast = textOf('cli/demo.ts').matchAll(/channel: '([^']+)', source: '([^']+)'/g);
  const published = ours
    .filter(([, { command }]) => command?.[0] === 'publish')
    .map(([, { command = [] }]) => [command[1], command[command.indexOf('--source') + 1]]);
  assert.deepEqual(
    published,
    [...cast].map(([, channel, source]) => [channel, source]),
  );
});

test('every volume that is mounted is declared, and the other way round', () => {
  const mounted = services.flatMap(([, { volumes = [] }]) => volumes.map((at) => at.split(':')[0]));
  assert.deepEqual(new Set(mounted), new Set(Object.keys(compose.volumes)));
});

test('the commands are commands of the program, with flags that it knows', () => {
  const known = registeredCommands(project);
  for (const [name, { command = [] }] of ours) {
    assert.ok(known.has(command[0] ?? ''), `${name} runs ${command[0] ?? 'nothing'}`);
    const flags = command.filter((word) => word.startsWith('--'));
    const source = textOf(`cli/commands/${command[0] ?? ''}.ts`);
    for (const flag of flags) assert.ok(source.includes(`${flag} `), `${name}: ${flag}`);
  }
});

test('the settings are settings of the program', () => {
  const documented = textOf('docs/configuration.md');
  for (const [name, { environment = {} }] of ours) {
    for (const variable of Object.keys(environment)) {
      assert.ok(documented.includes(`\`${variable}\``), `${name}: ${variable}`);
    }
  }
});

test('what the program keeps lies in a volume that belongs to its user', () => {
  const dockerfile = textOf('Dockerfile');
  const home = /BACKCAST_HOME=(\S+)/.exec(dockerfile)?.[1] ?? 'nowhere';
  assert.ok(dockerfile.includes(`\nVOLUME ${home}\n`));
  assert.match(dockerfile, new RegExp(`--owner=node .*${home}\n`));
  assert.deepEqual(compose.services['archiver']?.volumes, [`archiver:${home}`]);
});

test('the image holds every folder of the program', () => {
  const left = new Set(textOf('.dockerignore').split('\n'));
  for (const { path } of project.sources) {
    const [folder = ''] = path.split('/');
    assert.equal(left.has(folder), folder === 'test', `${folder} and .dockerignore`);
  }
});

test('the image is built in stages, runs without root, and starts the program', () => {
  const lines = textOf('Dockerfile').split('\n');
  assert.equal(lines.filter((line) => line.startsWith('FROM ')).length, 2);
  const user = lines.findLastIndex((line) => line.startsWith('USER '));
  assert.match(lines[user] ?? '', /^USER (?!root\b|0\b)/);
  assert.ok(!lines.slice(user).some((line) => line.startsWith('RUN ')));
  assert.ok(lines.includes('ENTRYPOINT ["/app/backcast"]'));
  assert.ok(lines.some((line) => /npm ci .*--omit=dev/.test(line)));
});
