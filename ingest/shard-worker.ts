// The entry of a shard's worker thread: connects a Shard to the messages of its archiver. Ends by
// itself when the shard has stopped; an error that no retry mends is told before the thread ends.

import { parentPort, workerData } from 'node:worker_threads';
import { assert, BackcastError, toError } from '#base/mod.ts';
import { Shard } from './shard.ts';
import type { ShardCommand, ShardReport, ShardStart } from './shard-messages.ts';

const COUNTERS_EVERY_MS = 500;

const port = parentPort;
assert(port !== null, 'a shard runs in a worker thread');
const report = (message: ShardReport): void => port.postMessage(message);
const shard = new Shard(workerData as ShardStart, report);

port.on('message', (command: ShardCommand) => {
  if (command.kind === 'record') shard.record(command.channel, command.address);
  else if (command.kind === 'keys') shard.useKeys(command.keys);
  else shard.stop();
});

const reporting = setInterval(() => {
  report({ kind: 'counters', channels: shard.counters() });
}, COUNTERS_EVERY_MS);

try {
  await shard.run();
} catch (error) {
  const code = error instanceof BackcastError ? error.code : 'BACKCAST_INTERNAL';
  const { message, stack } = toError(error);
  report({
    kind: 'failed',
    code,
    message: code === 'BACKCAST_INTERNAL' ? (stack ?? message) : message,
  });
} finally {
  clearInterval(reporting);
  report({ kind: 'counters', channels: shard.counters() });
  port.close();
}
