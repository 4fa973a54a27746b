// How far an export is, in a line for a person at a terminal. Where standard error is no terminal
// it says nothing: logs are not for counting.

import { formatSize } from '#base/mod.ts';
import { progressLine, type ProgressTerminal } from './progress-line.ts';

/** How far something is. */
export interface ProgressStep {
  readonly messages: number;
  readonly bytes: number;
  readonly done: number;
  readonly total: number;
}

/** How often the line is written anew. */
const REFRESH_MS = 200;

/** The line of an export. */
export interface ExportProgress {
  show(step: ProgressStep, nowMs: number): void;
  /** Erases the line. */
  clear(): void;
}

/** A line on `terminal`; the first step that is shown is where counting begins. */
export function exportProgress(terminal: ProgressTerminal): ExportProgress {
  const line = terminal.isTTY === true ? progressLine(terminal) : undefined;
  let begun: { readonly step: ProgressStep; readonly atMs: number } | undefined;
  let shownAtMs = -Infinity;
  return {
    show: (step, nowMs) => {
      begun ??= { step, atMs: nowMs };
      if (nowMs < shownAtMs + REFRESH_MS) return;
      shownAtMs = nowMs;
      line?.show(progressText(begun.step, step, nowMs - begun.atMs));
    },
    clear: () => line?.clear(),
  };
}

/** `step` in words; the rate is that since `begun`, `elapsedMs` ago, and the rest goes on so. */
export function progressText(begun: ProgressStep, step: ProgressStep, elapsedMs: number): string {
  const percent = step.total === 0 ? 100 : Math.floor((100 * step.done) / step.total);
  const counted = `${step.messages} messages, ${formatSize(step.bytes)}, ${percent} %`;
  const seconds = elapsedMs / 1000;
  const donePerSec = (step.done - begun.done) / seconds;
  if (!(donePerSec > 0) || !Number.isFinite(donePerSec)) return counted;
  const messagesPerSec = Math.round((step.messages - begun.messages) / seconds);
  const leftSeconds = Math.ceil((step.total - step.done) / donePerSec);
  return `${counted}, ${messagesPerSec} messages/s, ${durationText(leftSeconds)} left`;
}

function durationText(seconds: number): string {
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  const parts = [hours > 0 && `${hours} h`, hours + minutes > 0 && `${minutes} min`];
  return [...parts, hours === 0 && `${seconds % 60} s`].filter((part) => part !== false).join(' ');
}
