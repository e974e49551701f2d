import {
  ClientTooSlowError,
  type Clock,
  type GenerateRequest,
  type SampledToken,
  ServingError,
} from '../core/index.ts';
import type { Scheduler, Sequence, SequenceOutput } from '../scheduler/index.ts';
import type { Tokenizer } from '../tokenizer/index.ts';
import { finishedEvent, type OpenRequest, type Output } from './output.ts';
import { OutputStream } from './output-stream.ts';
import { OutputText } from './output-text.ts';
import { stopPattern } from './stop-strings.ts';

export interface OpenRequestsOptions {
  readonly scheduler: Scheduler;
  /** Undefined if the model has none. Then there is no text. */
  readonly tokenizer: Tokenizer | undefined;
  readonly clock: Clock;
  readonly eosTokenIds: readonly number[];
  /** Events of one answer that may wait for the client. Those of all answers to a request are counted together. */
  readonly maxPendingEvents: number;
  /** Called when the last open request has ended. */
  readonly onIdle: () => void;
}

export interface Arrival {
  readonly tokenizeMs: number;
  readonly signal: AbortSignal | undefined;
}

/** The requests that have been accepted and are not finished. Turns what the scheduler reports into their events. */
export class OpenRequests {
  readonly #options: OpenRequestsOptions;
  readonly #outputs = new Map<Sequence, Output>();

  constructor(options: OpenRequestsOptions) {
    this.#options = options;
  }

  get isEmpty(): boolean {
    return this.#outputs.size === 0;
  }

  /** Opens a request. @param sequences one per prompt, which the scheduler has accepted */
  open(
    request: Omit<GenerateRequest, 'prompts'>,
    sequences: readonly Sequence[],
    { tokenizeMs, signal }: Arrival,
  ): OutputStream {
    const { tokenizer, eosTokenIds, maxPendingEvents } = this.#options;
    const { reportPrompt, stop, includeStop, ignoreEos, minNewTokens: minTokens, skipSpecialTokens, n } = request;
    const abort = () => this.#abort(open);
    const answers = sequences.flatMap((sequence) => [sequence, ...sequence.forks]);
    const stream = new OutputStream(maxPendingEvents * answers.length, abort);
    signal?.addEventListener('abort', abort);
    const patterns = stop.map(stopPattern);
    const open: OpenRequest = {
      stream,
      sequences: answers,
      n,
      numUnfinished: answers.length,
      reportPrompt,
      // An end-of-sequence token is no stop token, even if the client names it.
      stopTokenIds: request.stopTokenIds.filter((id) => ignoreEos || !eosTokenIds.includes(id)),
      includeStop,
      forget: () => signal?.removeEventListener('abort', abort),
      tokenizeMs,
    };
    for (const [choice, sequence] of answers.entries()) {
      const decoder = tokenizer?.createDecoder({ skipSpecialTokens });
      const text = new OutputText(decoder, { patterns, includeStop, minTokens });
      this.#outputs.set(sequence, { request: open, choice, text, detokenizeMs: 0 });
    }
    return stream;
  }

  /** Publishes the results of a step. */
  publish(outputs: readonly SequenceOutput[]): void {
    for (const { sequence, result } of outputs) {
      if (result instanceof ServingError) this.fail(sequence, result);
      else this.#publish(sequence, result);
    }
  }

  /** Ends the whole request that a sequence belongs to with an error. */
  fail(sequence: Sequence, error: ServingError): void {
    const output = this.#outputs.get(sequence);
    if (output !== undefined) this.#fail(output.request, error);
  }

  /** @param errorOf makes a new error for each request */
  failAll(errorOf: () => ServingError): void {
    const requests = new Set([...this.#outputs.values()].map(({ request }) => request));
    for (const request of requests) this.#fail(request, errorOf());
  }

  #publish(sequence: Sequence, token: SampledToken): void {
    const output = this.#outputs.get(sequence);
    if (output === undefined) return;
    const { scheduler, clock, maxPendingEvents } = this.#options;
    const { request, choice } = output;
    if (request.stream.isFull) {
      this.#fail(request, new ClientTooSlowError(maxPendingEvents * request.sequences.length));
      return;
    }
    const index = sequence.outputTokenIds.length - 1;
    if (index === 0 && sequence.choice === 0 && request.reportPrompt) publishPrompt(sequence, output);
    const startedAtMs = clock.now();
    const isEnd = sequence.finishReason === 'stop';
    const { text, stoppedBy } = isEnd && !request.includeStop ? noText : output.text.push(token.id);
    if (stoppedBy !== undefined) scheduler.finish(sequence, 'stop');
    const isLast = sequence.status === 'finished';
    const rest = isLast && stoppedBy === undefined ? output.text.end() : '';
    output.detokenizeMs += clock.now() - startedAtMs;
    request.stream.push({ type: 'token', choice, index, token, text: text + rest, isLast });
    if (!isLast) return;
    const stopReason = stoppedBy ?? (request.stopTokenIds.includes(token.id) ? token.id : undefined);
    const isStop = isEnd || stoppedBy !== undefined;
    const end = isStop ? { finishReason: 'stop' as const, stopReason } : { finishReason: 'length' as const };
    request.stream.push(finishedEvent(sequence, output, end));
    this.#finish(sequence, request);
  }

  #finish(sequence: Sequence, request: OpenRequest): void {
    this.#outputs.delete(sequence);
    if (--request.numUnfinished > 0) return;
    request.stream.end();
    request.forget();
    this.#reportIdle();
  }

  #fail(request: OpenRequest, error: ServingError): void {
    request.stream.push({ type: 'error', error });
    request.stream.end();
    this.#end(request, 'error');
  }

  #abort(request: OpenRequest): void {
    request.stream.close();
    this.#end(request, 'abort');
  }

  /** Ends the sequences of a request that are not finished. */
  #end({ sequences, forget }: OpenRequest, reason: 'abort' | 'error'): void {
    for (const sequence of sequences) {
      this.#options.scheduler.finish(sequence, reason);
      this.#outputs.delete(sequence);
    }
    forget();
    this.#reportIdle();
  }

  #reportIdle(): void {
    if (this.isEmpty) this.#options.onIdle();
  }
}

function publishPrompt({ promptTokenIds: tokenIds, promptLogprobs }: Sequence, { request, choice }: Output): void {
  const prompt = choice / request.n;
  const logprobs = promptLogprobs.length > 0 ? { logprobs: [undefined, ...promptLogprobs] } : {};
  request.stream.push({ type: 'prompt', prompt, tokenIds, ...logprobs });
}

const noText = { text: '', stoppedBy: undefined } as const;
