// ./backcast as it runs on a host of a test network: `publish` that is given its lines by the test,
// and `subscribe` whose lines are collected.

import { createInterface } from 'node:readline';
import { once } from 'node:events';
import type { ChannelAddress } from '#base/mod.ts';
import { BACKCAST, endOf, type CommandEnd, type RunningCommand } from './cli.ts';
import type { Host } from './network.ts';
import { until } from './until.ts';

/** A program may start slowly while other tests run. */
const JOINED_MS_MAX = 30_000;

/** A line of `subscribe`. */
export interface LiveLine {
  readonly kind: 'message' | 'loss' | 'session';
  readonly session: string;
  readonly sequence?: number;
  /** The whole message in the framing raw. */
  readonly payload?: string;
  /** The parts of a message in the framing zmq. */
  readonly parts?: readonly { readonly payload: string }[];
}

/** A `subscribe` that runs. */
export interface Listening {
  /** What it has printed so far. */
  readonly lines: readonly LiveLine[];
  /** Its messages of one session, or of all; the last part of one that has several. */
  messages(session?: string): string[];
  /** Resolves when it has had `count` messages; fails with the state of things after `boundMs`. */
  received(count: number, boundMs?: number): Promise<void>;
}

/** Options that name an address to `publish` and `subscribe`. */
function addressArguments(host: Host, address: ChannelAddress): string[] {
  const { group, port, dport, framing } = address;
  const target = ['--group', `${group}:${port}`, '--dport', `${dport}`, '--framing', framing];
  return [...target, '--interface', host.address];
}

/** Starts `./backcast subscribe` and waits until it has joined. */
export async function startListening(host: Host, address: ChannelAddress): Promise<Listening> {
  const before = await host.joinedCount(address.group);
  const command = host.start(BACKCAST, [
    'subscribe',
    'interop',
    ...addressArguments(host, address),
  ]);
  const lines: LiveLine[] = [];
  let complaint = '';
  command.stderr.on('data', (text: Buffer) => (complaint += text.toString()));
  createInterface({ input: command.stdout }).on('line', (line) => {
    lines.push(JSON.parse(line) as LiveLine);
  });
  await until(
    'subscribe has joined',
    async () => (await host.joinedCount(address.group)) > before && complaint.includes('listening'),
    JOINED_MS_MAX,
  );
  const messages = (session?: string): string[] =>
    lines
      .filter((line) => line.kind === 'message' && (session ?? line.session) === line.session)
      .map(({ payload, parts }) => payload ?? parts?.at(-1)?.payload ?? '');
  return {
    lines,
    messages,
    received: async (count, boundMs = 40_000) => {
      await until(`${count} messages`, () => messages().length >= count, boundMs).catch(() => {
        const others = lines.filter(({ kind }) => kind !== 'message');
        const had = `${messages().length} of ${count} messages; ${JSON.stringify(others)}`;
        throw new Error(`${had}; ${complaint}`);
      });
    },
  };
}

/** A `publish` that runs. */
export interface Publishing {
  /** Publishes messages without a newline in them. */
  send(messages: readonly Buffer[]): Promise<void>;
  /** Lets it end in order. */
  end(): Promise<CommandEnd>;
  readonly command: RunningCommand;
}

/** Starts `./backcast publish`, which takes `rate` messages a second. */
export function startPublishing(host: Host, address: ChannelAddress, rate: number): Publishing {
  const pace = ['--rate', `${rate}`];
  const given = ['publish', 'interop', ...addressArguments(host, address), ...pace];
  const command = host.start(BACKCAST, given);
  const end = endOf(command);
  return {
    command,
    send: async (messages) => {
      for (const message of messages) {
        const isAhead = !command.stdin.write(Buffer.concat([message, Buffer.from('\n')]));
        if (isAhead) await Promise.race([once(command.stdin, 'drain'), end]);
      }
    },
    end: async () => {
      command.stdin.end();
      return await end;
    },
  };
}
