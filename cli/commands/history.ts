// `history`: the archived messages of a channel as NDJSON, exactly the lines that the replay API
// sends. The last of them says that the answer is whole; if it is missing the command fails,
// however much it printed.

import type { Command } from 'commander';
import { BackcastError } from '#base/mod.ts';
import { requestApi } from '../api-request.ts';
import { requireChannel } from '../channel-argument.ts';
import { explain, runs, settingOption, type CommandContext, type CommandHost } from '../command.ts';
import type { Outcome } from '../exit-codes.ts';
import { addHistoryPartOptions, type HistoryPartOptions } from '../history-options.ts';

/** More than the end record of an answer ever has. */
const END_BYTES_MAX = 4_096;
const NEWLINE = 10;

interface HistoryOptions extends HistoryPartOptions {
  readonly order?: string;
}

/** Adds the command. */
export function addHistoryCommand(program: Command, host: CommandHost): void {
  const command = program
    .command('history <channel>')
    .description('print archived messages as NDJSON, one per line, then a line of kind "end"');
  addHistoryPartOptions(command)
    .option('--order <order>', 'asc or desc by position')
    .addOption(settingOption('--api <url>', 'api.url'));
  runs(command, host, history);
  explain(command, [
    'backcast history demo.orders --after 990 --limit 10',
    'backcast history demo.orders --from 2026-11-22T14:00:00Z --to 2026-11-22T15:00:00Z',
    'backcast history demo.orders --session 0123456789abcdef --first 1 --last 100',
    'backcast history demo.orders | jq -r \'select(.kind == "message") | .payload\'',
  ]);
}

async function history(
  context: CommandContext,
  options: HistoryOptions,
  channel: string,
): Promise<Outcome> {
  const query = new URLSearchParams();
  for (const name of ['after', 'from', 'to', 'session', 'first', 'last', 'order', 'limit'] as const)
    if (options[name] !== undefined) query.set(name, String(options[name]));
  const search = query.size === 0 ? '' : `?${query.toString()}`;
  const path = `/v1/channels/${requireChannel(channel)}/messages${search}`;
  const response = await requestApi(context, path, 'application/x-ndjson');
  await passThrough(response, context);
  return 'ok';
}

async function passThrough(response: Response, context: CommandContext): Promise<void> {
  let tail: Uint8Array = new Uint8Array(0);
  let byteCount = 0;
  try {
    for await (const chunk of response.body ?? []) {
      byteCount += chunk.length;
      tail = keepTail(tail, chunk);
      await context.output.write(chunk);
    }
  } catch (cause) {
    context.signal.throwIfAborted();
    throw truncated(byteCount, cause);
  }
  if (!endsComplete(tail)) throw truncated(byteCount, undefined);
}

function keepTail(tail: Uint8Array, chunk: Uint8Array): Uint8Array {
  if (chunk.length >= END_BYTES_MAX) return chunk.slice(-END_BYTES_MAX);
  const kept = tail.subarray(Math.max(0, tail.length + chunk.length - END_BYTES_MAX));
  const joined = new Uint8Array(kept.length + chunk.length);
  joined.set(kept);
  joined.set(chunk, kept.length);
  return joined;
}

/** Whether the last line is an end record that says that nothing of the answer is missing. */
function endsComplete(tail: Uint8Array): boolean {
  if (tail.at(-1) !== NEWLINE) return false;
  const start = tail.lastIndexOf(NEWLINE, tail.length - 2) + 1;
  try {
    const end: unknown = JSON.parse(new TextDecoder().decode(tail.subarray(start)));
    return typeof end === 'object' && end !== null && 'kind' in end && end.kind === 'end';
  } catch {
    return false;
  }
}

function truncated(byteCount: number, cause: unknown): BackcastError {
  return new BackcastError(
    'BACKCAST_ANSWER_TRUNCATED',
    `the answer of the replay API broke off after ${byteCount} bytes, before its end record; ` +
      'ask again behind the last position that was printed',
    { cause },
  );
}
