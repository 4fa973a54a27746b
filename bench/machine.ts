// What a number was measured on: it stands beside every published one.

import { arch, cpus, platform, totalmem } from 'node:os';

/** Operating system, processors and memory in one line. */
export function describeMachine(): string {
  const model = cpus()[0]?.model.trim() ?? 'unknown';
  const memoryGib = Math.round(totalmem() / 2 ** 30);
  return `${platform()} ${arch()}, ${cpus().length} × ${model}, ${memoryGib} GiB`;
}
