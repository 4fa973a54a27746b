// A process of its own for file-registry.test.ts: resolves the channels of argv on the registry
// file in argv[2], waiting for a line on stdin first so that several children begin together.

import { once } from 'node:events';
import { openFileRegistry } from '#registry/mod.ts';

const [path, ...channels] = process.argv.slice(2);
await using registry = openFileRegistry({
  path,
  pool: { groups: ['239.77.0.0/24'], ports: [7_000, 7_255], dport: 7_500 },
});
process.stdout.write('ready\n');
await once(process.stdin, 'data');
process.stdin.unref();
const answers: Record<string, unknown> = {};
for (const channel of channels) answers[channel] = await registry.resolve(channel);
process.stdout.write(JSON.stringify(answers));
