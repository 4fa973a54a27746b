// The certificate with which the API proves itself, and its key. Both files are read again every
// second, so that a renewed certificate serves without a restart. What cannot be used when it
// is read again is told, and what was there before stays.
//
// Files that are being written could be read half-way, or one before the other: new content counts
// when it has been read twice in a row and the two belong together.

import { readFileSync, statSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import type { FastifyBaseLogger } from 'fastify';
import { BackcastError, rootMessage, toError } from '#base/mod.ts';

/** Where certificate and key are, both as PEM. */
export interface CertificateFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

/** Certificate and key as TLS takes them. */
export interface CertificateText {
  readonly cert: string;
  readonly key: string;
}

/** The oldest version of TLS that is spoken. */
export const TLS_VERSION_MIN = 'TLSv1.2';

const READ_EVERY_MS = 1_000;
const OTHERS_MAY_READ_OR_WRITE = 0o006;

/** The certificate that holds now. Disposing stops reading the files. */
export class Certificate implements Disposable {
  readonly #files: CertificateFiles;
  readonly #logger: FastifyBaseLogger;
  readonly #timer: NodeJS.Timeout;
  #text: CertificateText;
  #candidate: CertificateText | undefined;
  #problem = '';
  #onChange: ((text: CertificateText) => void) | undefined;

  /** Reads the files. BACKCAST_TLS_UNUSABLE. */
  constructor(files: CertificateFiles, logger: FastifyBaseLogger) {
    this.#files = files;
    this.#logger = logger;
    this.#text = readCertificate(files);
    this.#timer = setInterval(() => this.refresh(), READ_EVERY_MS);
    this.#timer.unref();
  }

  /** Certificate and key. */
  get text(): CertificateText {
    return this.#text;
  }

  /** Calls `listener` with each new certificate. */
  onChange(listener: (text: CertificateText) => void): void {
    this.#onChange = listener;
  }

  /** Reads the files again, as the timer does. */
  refresh(): void {
    try {
      const text = readFiles(this.#files);
      const isRepeated = isSame(text, this.#candidate);
      this.#candidate = text;
      if (isSame(text, this.#text)) this.#problem = '';
      else if (isRepeated) this.#replace(text);
    } catch (error) {
      const reason = toError(error).message;
      if (reason !== this.#problem) this.#logger.warn({ reason }, 'certificate cannot be used');
      this.#problem = reason;
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #replace(text: CertificateText): void {
    assertUsable(text, this.#files);
    this.#text = text;
    this.#problem = '';
    this.#onChange?.(text);
    this.#logger.info({ file: this.#files.certFile }, 'certificate replaced');
  }
}

function readCertificate(files: CertificateFiles): CertificateText {
  const text = readFiles(files);
  assertUsable(text, files);
  return text;
}

function readFiles({ certFile, keyFile }: CertificateFiles): CertificateText {
  const cert = read(certFile);
  if ((statOf(keyFile).mode & OTHERS_MAY_READ_OR_WRITE) !== 0)
    throw unusable(
      `every user of this host may read or write ${keyFile}; run: chmod o-rw ${keyFile}`,
    );
  return { cert, key: read(keyFile) };
}

/** What TLS itself says to them. */
function assertUsable({ cert, key }: CertificateText, files: CertificateFiles): void {
  try {
    createSecureContext({ cert, key, minVersion: TLS_VERSION_MIN });
  } catch (cause) {
    const what = `${files.certFile} and ${files.keyFile} are no certificate and its key as PEM`;
    throw unusable(`${what}: ${rootMessage(cause)}`, cause);
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw unusable(`${file} cannot be read: ${rootMessage(cause)}`, cause);
  }
}

function statOf(file: string): { readonly mode: number } {
  try {
    return statSync(file);
  } catch (cause) {
    throw unusable(`${file} cannot be read: ${rootMessage(cause)}`, cause);
  }
}

function isSame(text: CertificateText, other: CertificateText | undefined): boolean {
  return text.cert === other?.cert && text.key === other.key;
}

function unusable(problem: string, cause?: unknown): BackcastError {
  return new BackcastError('BACKCAST_TLS_UNUSABLE', `${problem}.`, { cause });
}
