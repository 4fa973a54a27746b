// docs/benchmarks.md as text, from the entries of bench/history.ndjson. Pure.

import type { ArchiveBenchmarkResult } from './archive-series.ts';
import type { ReplayBenchmarkResult } from './replay.ts';

/** What a measurement prints: one JSON object with at least the rate. */
export interface Measured {
  readonly messagesPerSecond: number;
  readonly [name: string]: unknown;
}

/** A measurement that ran several times. */
export interface Result {
  readonly name: string;
  readonly server: string;
  readonly median: Measured;
  readonly rates: readonly number[];
}

/** One line of the history: what was measured, on what. */
export interface Entry {
  readonly at: string;
  readonly commit: string;
  readonly machine: string;
  readonly node: string;
  /** Of `npm run bench`; none in the line of a long run beside stored messages. */
  readonly results: readonly Result[];
  /** `bench archive` on each server, once. Missing in lines older than the measurement. */
  readonly series?: readonly ArchiveBenchmarkResult[];
  /** `bench replay`, in a line of its own. */
  readonly replay?: ReplayBenchmarkResult;
}

/** What of a measurement stands in the table beside the rate. */
export type Shows = (name: string) => readonly string[];

/** The last run of each kind; only the short one must have been run. */
export interface LastRuns {
  readonly entry: Entry;
  readonly stored: Entry | undefined;
  readonly replay: Entry | undefined;
}

/** The page for the last runs. */
export function benchmarkPage(
  { entry, stored, replay }: LastRuns,
  rounds: number,
  shows: Shows,
): string {
  const { at, commit, machine, node, results, series = [] } = entry;
  const rows = results.map((result) => resultRow(result, shows));
  return `# Benchmarks

Made by \`npm run bench\`, \`node bench/record.ts --stored\` and \`node bench/record.ts --replay\`; the
numbers are never edited by hand. Earlier runs are in \`bench/history.ndjson\`.

- When: ${at}, commit ${commit}
- Machine: ${machine}, shared with others, so compare within one run
- Node ${node}; 140-byte JSON messages, one publisher, channel and archiver thread; fsync on
- Each line: median of ${rounds} runs in messages per second, with the slowest and the fastest

| what | messages/s | slowest – fastest | of the median run |
| --- | ---: | ---: | --- |
${rows.join('\n')}

The first two measurements are whole: a publisher numbers, packs and sends, the kernel carries
multicast on the loopback interface, the archiver receives, orders, batches and commits; the clock
stops when the last message is committed, and every run ends with an audit that must find nothing
missing. The publisher, on a thread of its own, runs at most 131,072 messages ahead of the archive.
The third leaves all of that out: it is what one connection to the same PostgreSQL takes in
transactions of 32,768 messages. The batches of the whole path grow to 65,536 under load, so it can
come out ahead where a transaction costs much.

The live measurements leave the archive out: one publisher and one subscriber on two threads. The
rate is that of the slower of the two, which is at most 65,536 messages behind. Latency is taken in
a run of its own at the steady rate, from the call of \`publish\` to the reader's hands; it contains
the time for which a packet waits to be filled (\`publisher.flushMs\`, 1 ms at most). Packets per
core are packets by the processor time of the thread that sends or receives them, with the kernel's.

## Shards and latency

Each line is one run of \`./backcast bench archive\`. A shard is a channel with a publishing and an
archiving thread and its share of the server; all of them share the processors of the machine above.
_COPY alone_ brings the very rows of the run into the same table again, in transactions of the same
size, on as many connections, while nothing else runs.

${series.map(seriesTables).join('\n')}
Latency is from the call of \`publish\` to the moment at which another connection, which looks every
millisecond, sees that the message is committed. Messages come at a steady rate for five seconds,
whatever becomes of them; a rate is kept if the publisher brought out 98 % of it and all of it was
archived within a second of its end. \`archiver.batchAgeMs\` is at its default, 20 ms.

## Beside what is stored

${storedSection(stored)}
## History

${replaySection(replay)}
Other measurements, to be run by hand: \`node bench/spool.ts\` (an outage of PostgreSQL),
\`node bench/protocol.ts\` (the protocol machines alone, in memory) and \`node bench/quiet.ts\` (many
quiet channels).
`;
}

function resultRow({ name, median, rates }: Result, shows: Shows): string {
  const details = shows(name)
    .map((key) => `${key} ${show(median[key])}`)
    .join(', ');
  const range = `${show(rates[0])} – ${show(rates.at(-1))}`;
  return `| ${name} | ${show(median.messagesPerSecond)} | ${range} | ${details} |`;
}

function storedSection(stored: Entry | undefined): string {
  if (stored === undefined) return 'Not measured yet: `node bench/record.ts --stored`.\n';
  const { at, commit, machine, series = [] } = stored;
  return `The same with so many messages in the tables before; the cost must not grow with them.
Measured ${at}, commit ${commit}, on ${machine}.

${series.map(seriesTables).join('\n')}`;
}

function replaySection(entry: Entry | undefined): string {
  if (entry?.replay === undefined) return 'Not measured yet: `node bench/record.ts --replay`.\n';
  const { at, commit, replay } = entry;
  const { steps, messages, payloadBytes, server, machine } = replay;
  const rates = steps.flatMap((step) =>
    step.rates.map((rate) => {
      const { form, messagesPerSecond, megabytesPerSecond, firstMessageMs } = rate;
      const cells = [step.storedMessages, form, messagesPerSecond, megabytesPerSecond];
      return row([...cells, firstMessageMs, rate.perServerCore, rate.perReaderCore]);
    }),
  );
  const pages = steps.map(({ storedMessages, pageMsP50, pageMsP99 }) => {
    return row([storedMessages, pageMsP50, pageMsP99]);
  });
  return `The first ${show(messages)} messages of ${payloadBytes} bytes out of the replay API over HTTP, to a reader
on a thread of its own, beside COPY OUT of the same rows in the same run; each the median of three
rounds. PostgreSQL, the serving thread and the reader share the processors. Per core is by the
processor time of the thread. Measured ${at}, commit ${commit}, on ${machine}, ${server}.

| stored messages | as | messages/s | MB/s | first message ms | per server core | per reader core |
| ---: | --- | ---: | ---: | ---: | ---: | ---: |
${rates.join('\n')}

A JSON page of a hundred messages after a random position, asked for one after the other on one
connection:

| stored messages | p50 ms | p99 ms |
| ---: | ---: | ---: |
${pages.join('\n')}
`;
}

function seriesTables({ server, steps }: ArchiveBenchmarkResult): string {
  const throughput = steps.flatMap(({ storedMessages, storedMebibytes, throughput: runs }) =>
    runs.map((run) => {
      const cells = [
        storedMessages,
        storedMebibytes,
        run.shards,
        run.messagesPerSecond,
        run.copyMessagesPerSecond,
        `${run.copySharePercent} %`,
        run.storedBytesPerMessage,
        run.messagesPerTransaction,
      ];
      return row(cells);
    }),
  );
  const latency = steps.flatMap(({ storedMessages, latency: runs }) =>
    runs.map((run) => {
      const kept = run.isKept ? 'yes' : 'no';
      const { offeredRate, publishedRate, latencyMsP50, latencyMsP99 } = run;
      return row([storedMessages, offeredRate, publishedRate, kept, latencyMsP50, latencyMsP99]);
    }),
  );
  return `${server}:

| stored messages | MiB | shards | messages/s | COPY alone | share | bytes/message | per commit |
| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
${throughput.join('\n')}

| stored messages | offered/s | published/s | kept | p50 ms | p99 ms |
| ---: | ---: | ---: | --- | ---: | ---: |
${latency.join('\n')}
`;
}

function row(cells: readonly unknown[]): string {
  return `| ${cells.map(show).join(' | ')} |`;
}

function show(value: unknown): string {
  if (value === null) return '–';
  if (typeof value === 'number') return value.toLocaleString('en');
  return typeof value === 'string' ? value : JSON.stringify(value);
}
