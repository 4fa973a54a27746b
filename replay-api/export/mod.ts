// Exports of history: folders of files with a manifest, and single files as an answer.

export * from './export-request.ts';
export { FORMAT_NAMES } from './format-writer.ts';
export { type ExportOptions, type ExportStep, runExport } from './run-export.ts';
export { beginExport, openExport, streamExport } from './stream-export.ts';
export * from './types.ts';
export { type ExportProblem, type Verification, verifyExport } from './verify.ts';
