// Exports part of a channel into a folder: parts of messages, the losses, the deletions, and last
// the manifest. Memory holds a page or two and, for Parquet, a row group, however much is exported.
// Whoever is interrupted calls it again with the same plan: parts that are finished stay, and what
// comes out is what would have come out without the interruption.

import {
  assertNotRewound,
  cutRun,
  type Deletion,
  findChannel,
  firstPositionOf,
  type MessageRun,
  openReading,
  type ReadDatabase,
} from '#archive/mod.ts';
import { assert, BackcastError } from '#base/mod.ts';
import type { Served } from '../access/access-log.ts';
import { DurableFolder, isPartialOf } from './durable-folder.ts';
import { FORMAT_NAMES, openFormat } from './format-writer.ts';
import { LISTED_MAX, MANIFEST_FILE, boundsOf, manifestText, parseManifest } from './manifest.ts';
import { missingText } from '../message-text.ts';
import { PartFile } from './part-file.ts';
import {
  type ExportProgress,
  loadProgress,
  PROGRESS_FILE,
  saveProgress,
  type SettledExport,
} from './progress-file.ts';
import { readRange, type SourcedEntry, toPositionRequest } from './range-reading.ts';
import { LOSSES_FILE, settleExport } from './settle-export.ts';
import { NO_MESSAGES, Tally } from './tally.ts';
import type { ExportManifest, ExportPlan, ListedMissing } from './types.ts';

/** What a row group of Parquet has at most: large ones compress better. */
const KEPT_BYTES_TARGET = 8 * 1_048_576;
/** The name of the file of deletions. */
const DELETIONS_FILE = 'deletions.ndjson';

/** How far an export is. */
export interface ExportStep {
  /** Written so far, in this run and in those before it. */
  readonly messages: number;
  readonly payloadBytes: number;
  /** What this run has read of it. */
  readonly read: Served;
  /** Of the positions to look through, how many have been. */
  readonly positionsDone: number;
  readonly positionsTotal: number;
}

/** What to do, and who is told of it. */
export interface ExportOptions {
  readonly opened: ReadDatabase;
  readonly plan: ExportPlan;
  /** The folder; made if need be. Empty, or with what the same plan has left there. */
  readonly path: string;
  /** Ends the export between two messages; a later run goes on. */
  readonly signal: AbortSignal;
  /** Called at least once per page. */
  readonly onStep?: (step: ExportStep) => void;
}

/**
 * Makes the export, or goes on with it, or finds it finished; gives its manifest. Errors:
 * BACKCAST_EXPORT_FOLDER, BACKCAST_EXPORT_OTHER if the folder holds something else, those of the
 * archive. Throws the reason of `signal`.
 */
export async function runExport(options: ExportOptions): Promise<ExportManifest> {
  const { opened, plan, path, signal } = options;
  const folder = new DurableFolder(path);
  const begun = await findBegun(folder, plan, path);
  if (begun.kind === 'finished') {
    await folder.remove(PROGRESS_FILE);
    return begun.manifest;
  }
  let { progress } = begun;
  if (progress.settled === undefined) {
    await saveProgress(folder, progress);
    progress = { ...progress, settled: await settleExport(opened, plan, folder, signal) };
    await saveProgress(folder, progress);
  }
  progress = await new Exporting(options, folder, progress).run();
  const text = progress.deletions.map((line) => `${line}\n`).join('');
  const listed = progress.deletions.slice(0, LISTED_MAX);
  const manifest = manifestText(progress, {
    ...(await folder.writeText(DELETIONS_FILE, text)),
    count: progress.deletions.length,
    listed: listed.map((line) => JSON.parse(line) as ListedMissing),
  });
  await folder.writeText(MANIFEST_FILE, manifest);
  await folder.remove(PROGRESS_FILE);
  return parseManifest(manifest);
}

/** What `folder` holds of `plan`. */
async function findBegun(
  folder: DurableFolder,
  plan: ExportPlan,
  path: string,
): Promise<
  | { readonly kind: 'finished'; readonly manifest: ExportManifest }
  | { readonly kind: 'unfinished'; readonly progress: ExportProgress }
> {
  await folder.prepare();
  const finished = await folder.readText(MANIFEST_FILE);
  if (finished !== undefined) {
    const manifest = parseManifest(finished);
    if (identityOf(manifest) === identityOf(fromPlan(plan))) return { kind: 'finished', manifest };
    throw other(path, 'another export, which is finished');
  }
  const progress = await loadProgress(folder);
  if (progress !== undefined) {
    if (identityOf(fromPlan(progress.plan)) === identityOf(fromPlan(plan))) {
      await folder.removePartial(isExported);
      return { kind: 'unfinished', progress };
    }
    throw other(path, 'another export, which is not finished');
  }
  const stranger = (await folder.names()).find((name) => !isPartialOf(name, isExported));
  if (stranger !== undefined) throw other(path, `files that are of no export, such as ${stranger}`);
  return { kind: 'unfinished', progress: notBegun(plan) };
}

/** Whether a file of an export is called so. */
function isExported(name: string): boolean {
  const fixed = [LOSSES_FILE, DELETIONS_FILE, MANIFEST_FILE, PROGRESS_FILE];
  return fixed.includes(name) || /^messages-\d{6,}\.[a-z]+$/.test(name);
}

type Identity = Pick<ExportManifest, 'channel' | 'bounds' | 'format' | 'partMessages'>;

function fromPlan(plan: ExportPlan): Identity {
  return { ...plan, bounds: boundsOf(plan) };
}

function identityOf({ channel, bounds, format, partMessages }: Identity): string {
  return JSON.stringify([channel, bounds, format, partMessages]);
}

function notBegun(plan: ExportPlan): ExportProgress {
  const kind = 'backcast-export-unfinished';
  const nothing = { parts: [], totals: NO_MESSAGES, sessions: [], deletions: [] };
  return { kind, version: 1, plan, ...nothing };
}

function other(path: string, what: string): BackcastError {
  return new BackcastError(
    'BACKCAST_EXPORT_OTHER',
    `the folder ${path} holds ${what}: choose another folder, or remove this one`,
  );
}

/** One run over the messages that are not exported yet. */
class Exporting {
  readonly #options: ExportOptions;
  readonly #folder: DurableFolder;
  readonly #settled: SettledExport;
  readonly #tally: Tally;
  #progress: ExportProgress;
  #deletions: string[];
  #part: PartFile | undefined;
  #read: Served | undefined;

  constructor(options: ExportOptions, folder: DurableFolder, progress: ExportProgress) {
    assert(progress.settled !== undefined, 'an export is settled before messages are read');
    this.#options = options;
    this.#folder = folder;
    this.#settled = progress.settled;
    this.#progress = progress;
    this.#tally = new Tally(progress.totals, progress.sessions);
    this.#deletions = [...progress.deletions];
  }

  /** How far it is when there is nothing left. */
  async run(): Promise<ExportProgress> {
    try {
      for await (const { entry, source } of this.#entries()) {
        this.#options.signal.throwIfAborted();
        if (entry.kind === 'messages') await this.#add(entry, source);
        else if (entry.kind === 'deletion') this.#addDeletion(entry, source);
      }
      await this.#finishPart();
      return { ...this.#progress, deletions: this.#deletions };
    } finally {
      await this.#part?.abandon();
    }
  }

  async *#entries(): AsyncGenerator<SourcedEntry> {
    const { opened, plan } = this.#options;
    const { positions, archivedThrough } = this.#settled.scope;
    const after = this.#progress.parts.at(-1)?.lastPosition ?? positions.first - 1;
    if (after >= positions.last) return;
    const current = await findChannel(opened.database, plan.channel);
    assertNotRewound(current.archivedThrough, archivedThrough);
    const channel = { ...current, archivedThrough };
    const request = { ...toPositionRequest(plan), after, before: positions.last + 1 };
    const reading = await openReading(opened, channel, request);
    const sourceOf = this.#tally.sourceOf.bind(this.#tally);
    yield* readRange(reading, { opened, channel, session: plan.session, sourceOf });
  }

  async #add(whole: MessageRun, source: string | null): Promise<void> {
    let run = whole;
    for (;;) {
      this.#part ??= await this.#openPart();
      const taken = this.#part.fitting(run);
      await this.#part.add(taken, source);
      this.#tally.add(taken, source);
      this.#tell(taken);
      if (this.#part.isFull) await this.#finishPart();
      const leftCount = run.messageCount - taken.messageCount;
      if (leftCount === 0) return;
      run = cutRun(run, leftCount, 'end');
    }
  }

  #addDeletion(deletion: Deletion, source: string | null): void {
    this.#deletions.push(missingText(deletion, source));
  }

  async #openPart(): Promise<PartFile> {
    const { channel, format, partMessages } = this.#options.plan;
    const number = String(this.#progress.parts.length + 1).padStart(6, '0');
    const file = await this.#folder.create(`messages-${number}.${FORMAT_NAMES[format].suffix}`);
    const { framing } = this.#settled;
    const writer = openFormat(format, { channel, framing, keptBytesTarget: KEPT_BYTES_TARGET });
    return new PartFile(file, writer, partMessages);
  }

  async #finishPart(): Promise<void> {
    if (this.#part === undefined) return;
    const part = await this.#part.finish();
    this.#part = undefined;
    this.#progress = {
      ...this.#progress,
      parts: [...this.#progress.parts, part],
      totals: this.#tally.totals,
      sessions: this.#tally.sessions,
      deletions: [...this.#deletions],
    };
    await saveProgress(this.#folder, this.#progress);
  }

  #tell(taken: MessageRun): void {
    const { count, payloadBytes } = this.#tally.totals;
    const { first, last } = this.#settled.scope.positions;
    const lastPosition = firstPositionOf(taken) + taken.messageCount - 1;
    this.#read = {
      messageCount: (this.#read?.messageCount ?? 0) + taken.messageCount,
      firstPosition: this.#read?.firstPosition ?? firstPositionOf(taken),
      lastPosition,
    };
    this.#options.onStep?.({
      messages: count,
      payloadBytes,
      read: this.#read,
      positionsDone: lastPosition - first + 1,
      positionsTotal: Math.max(0, last - first + 1),
    });
  }
}
