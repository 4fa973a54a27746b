// `./backcast up` on a host of a test network: archiver, embedded database and replay API in one
// place, asked through the commands that users have.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { ChannelAddress } from '#base/mod.ts';
import { BACKCAST, type CommandEnd, endOf } from './cli.ts';
import type { Host } from './network.ts';
import { until } from './until.ts';

const START_MS_MAX = 30_000;
const ARCHIVED_MS_MAX = 40_000;
/** OpenPGM and ZeroMQ repair slowly what was missed for seconds. */
const REPAIR_TIMEOUT_MS = 30_000;

/** A line of `history`. */
export interface ArchivedLine {
  readonly kind: 'message' | 'loss' | 'end';
  readonly session: string;
  readonly sequence: number;
  /** A message in the framing raw. */
  readonly payload: string;
  readonly encoding: Encoding;
  /** The parts of one in the framing zmq. */
  readonly parts: readonly { readonly payload: string; readonly encoding: Encoding }[];
}

type Encoding = 'utf8' | 'base64';

/** An archive that runs. */
export interface ArchiveOnHost {
  /** Waits until `count` messages of the channel are archived; every line that is not the end. */
  history(channel: string, count: number): Promise<ArchivedLine[]>;
  /** Fails unless everything is accounted for. */
  audit(): Promise<void>;
  /** Ends it in order. */
  stop(): Promise<void>;
}

/** The bytes of a message in the framing raw, or of a part. */
export function payloadOf(of: Pick<ArchivedLine, 'encoding' | 'payload'>): Buffer {
  const { encoding, payload } = of;
  return Buffer.from(payload, encoding === 'base64' ? 'base64' : 'utf8');
}

/** Starts an archive of these channels, with everything it keeps in `home`. */
export async function startArchiveOn(
  host: Host,
  home: string,
  channels: Readonly<Record<string, ChannelAddress>>,
): Promise<ArchiveOnHost> {
  const config = join(home, 'backcast.yaml');
  const addresses = Object.entries(channels).map(([name, address]) => ({ name, ...address }));
  const settings = {
    home,
    interface: host.address,
    api: { port: 8_080 },
    receiver: { repairTimeoutMs: REPAIR_TIMEOUT_MS },
    channels: addresses,
  };
  await writeFile(config, JSON.stringify(settings));
  const command = host.start(BACKCAST, ['up', '--config', config]);
  const end = endOf(command);
  const said: string[] = [];
  createInterface({ input: command.stderr }).on('line', (line) => said.push(line));
  void end.then(({ end: how }) => said.push(`ended: ${how}`));
  await until(
    'the archive has started',
    () => said.some((line) => line.includes('/v1/channels')),
    START_MS_MAX,
  ).catch(() => {
    throw new Error(`up has not started: ${said.join('\n')}`);
  });
  for (const { group } of addresses) {
    await until('the archive has joined', async () => (await host.joinedCount(group)) > 0);
  }
  const ask = (...args: readonly string[]): Promise<CommandEnd> =>
    endOf(host.start(BACKCAST, [...args, '--config', config]));
  return {
    history: (channel, count) => waitForHistory(() => ask('history', channel), count),
    audit: async () => {
      const { end: how, stdout, stderr } = await ask('audit');
      if (how !== 0) throw new Error(`audit: ${stdout}${stderr}`);
    },
    stop: async () => {
      command.kill('SIGINT');
      const { end: how } = await end;
      if (how !== 0) throw new Error(`up ended with ${how}: ${said.join('\n')}`);
    },
  };
}

async function waitForHistory(
  ask: () => Promise<CommandEnd>,
  count: number,
): Promise<ArchivedLine[]> {
  let lines: ArchivedLine[] = [];
  let answer: CommandEnd | undefined;
  const hasAll = async (): Promise<boolean> => {
    answer = await ask();
    if (answer.end !== 0) return false;
    const texts = answer.stdout.split('\n').filter((text) => text !== '');
    lines = texts.map((text) => JSON.parse(text) as ArchivedLine);
    return lines.filter(({ kind }) => kind === 'message').length >= count;
  };
  await until(`${count} messages are archived`, hasAll, ARCHIVED_MS_MAX).catch((cause: unknown) => {
    const others = lines
      .filter(({ kind }) => kind !== 'message')
      .map((line) => JSON.stringify(line));
    const had = `${lines.length - others.length} messages; ${others.join(' ')} ${answer?.stderr}`;
    throw new Error(`not ${count} messages: ${had}`, { cause });
  });
  return lines.filter(({ kind }) => kind !== 'end');
}
