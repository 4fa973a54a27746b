// Measurements of the product on the machine at hand. May import anything; only the command line
// imports it.

export { benchmarkArchive } from './archive-series.ts';
export type { ArchiveBenchmarkResult } from './archive-series.ts';
export { benchmarkLive } from './live.ts';
export { benchmarkReplay } from './replay.ts';
export type { ReplayBenchmarkResult } from './replay.ts';
