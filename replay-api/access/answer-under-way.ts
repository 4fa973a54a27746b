// One answer from the moment its request was let in until it has been sent or its connection is
// gone: who wants to know of its end is told how it ended, and it can be cut before.

import { finished } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { BackcastError } from '#base/mod.ts';

/** Sent to its end; ended before, by either side; cut because the right was gone. */
export type AnswerEnd = 'complete' | 'aborted' | 'revoked';

/** What an answer has to end in words once its caller has lost the right to it. */
export const CUT_AFTER_MS = 1_000;

/** An answer under way. */
export class AnswerUnderWay {
  readonly #request: FastifyRequest;
  readonly #reply: FastifyReply;
  readonly #onEnd: ((end: AnswerEnd) => void)[] = [];
  #controller: AbortController | undefined;
  #reason: BackcastError | undefined;
  #ended: AnswerEnd | undefined;

  constructor(request: FastifyRequest, reply: FastifyReply) {
    this.#request = request;
    this.#reply = reply;
    finished(reply.raw, (error) => this.#end(error === undefined || error === null));
  }

  /** Fires when the right is gone. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    return this.#controller.signal;
  }

  /** Calls `listener` once, when the answer has ended; at once if it has. */
  onEnd(listener: (end: AnswerEnd) => void): void {
    if (this.#ended === undefined) this.#onEnd.push(listener);
    else listener(this.#ended);
  }

  /**
   * Cuts the answer; one whose signal has been taken may end by itself first. False if it was cut
   * before.
   */
  revoke(reason: BackcastError): boolean {
    if (this.#reason !== undefined) return false;
    this.#reason = reason;
    this.#request.log.warn({ url: this.#request.url, reason: reason.message }, 'answer cut');
    const response = this.#reply.raw;
    if (this.#controller === undefined) response.destroy();
    else setTimeout(() => response.destroy(), CUT_AFTER_MS).unref();
    this.#controller?.abort(reason);
    return true;
  }

  #end(isSent: boolean): void {
    const isGood = isSent && this.#reply.statusCode < 400;
    const end = this.#reason !== undefined ? 'revoked' : isGood ? 'complete' : 'aborted';
    this.#ended = end;
    for (const listener of this.#onEnd) listener(end);
  }
}
