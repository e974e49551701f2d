import {
  ClientTooSlowError,
  type Clock,
  EngineError,
  type GenerateRequest,
  type GenerationEvent,
  type GeneratorStats,
  greedy,
  InternalError,
  ModelError,
  type ModelRunner,
  messageOf,
  requestDefaults,
  type SampledToken,
  type ServingError,
  type TextGenerator,
  UnavailableError,
} from '../core/index.ts';
import { Scheduler, Sequence } from '../scheduler/index.ts';
import type { Tokenizer } from '../tokenizer/index.ts';
import { EngineLoop } from './engine-loop.ts';
import { finishedEvent, type OpenRequest, type Output } from './output.ts';
import { OutputStream } from './output-stream.ts';
import { OutputText } from './output-text.ts';
import { toSequences } from './to-sequence.ts';
import { checkNumAnswers, tokenize } from './tokenize-request.ts';

export interface LlmEngineOptions {
  readonly runner: ModelRunner;
  /** Undefined if the model has none. Then prompts are token ids and there is no text. */
  readonly tokenizer: Tokenizer | undefined;
  readonly clock: Clock;
  readonly vocabSize: number;
  readonly eosTokenIds: readonly number[];
  readonly batchTimeoutMs: number;
  readonly maxQueueSize: number;
  /** Events of one request that may wait for the client. */
  readonly maxPendingEvents: number;
  /** A step failed, or some of its rows did. Requests that end because of it receive the error. The engine continues. */
  readonly onFailure: (error: EngineError) => void;
  /** A bug has stopped the engine. All open requests have ended with an error. */
  readonly onDefect: (error: unknown) => void;
}

/** After this many failed steps in a row, the engine is not ready until a step succeeds. */
const maxFailuresInARow = 3;

interface StartOptions {
  readonly tokenizeMs?: number;
  readonly signal?: AbortSignal;
}

/** A text generator in this process: tokenizer, scheduler and runner combined. */
export class LlmEngine implements TextGenerator {
  readonly #options: LlmEngineOptions;
  readonly #scheduler: Scheduler;
  readonly #loop: EngineLoop;
  readonly #outputs = new Map<Sequence, Output>();
  /** Requests whose prompts are being tokenized. They count as waiting. */
  #numSubmitting = 0;
  #state: 'starting' | 'ready' | 'draining' | 'stopped' = 'starting';
  #onIdle: (() => void) | undefined;
  /** Why the engine has stopped, for clients. */
  #stopReason = 'the engine was stopped before this request was finished';

  constructor(options: LlmEngineOptions) {
    this.#options = options;
    this.#scheduler = new Scheduler({
      limits: options.runner.limits,
      batchTimeoutMs: options.batchTimeoutMs,
      maxQueueSize: options.maxQueueSize,
    });
    this.#loop = new EngineLoop({
      scheduler: this.#scheduler,
      runner: options.runner,
      clock: options.clock,
      onOutputs: (outputs) => {
        for (const { sequence, result } of outputs) {
          if (result instanceof EngineError) this.#failSequence(sequence, result);
          else this.#publish(sequence, result);
        }
      },
      onLost: (sequences, error) => {
        for (const sequence of sequences) this.#failSequence(sequence, error);
      },
      onFailure: (error) => {
        // A terminated step fails, too, but that says nothing about the engine.
        if (this.#state !== 'stopped') options.onFailure(error);
      },
      onDefect: (error) => this.#breakDown(error),
    });
  }

  get isReady(): boolean {
    return this.#state === 'ready' && this.#loop.numFailuresInARow < maxFailuresInARow;
  }

  recover(): void {
    // While there are requests, their steps show whether the engine works.
    if (this.#state === 'ready' && !this.isReady && this.#isIdle) this.#startProbe({ topK: 1 });
  }

  stats(): GeneratorStats {
    return {
      numRunning: this.#scheduler.numRunning,
      numWaiting: this.#scheduler.numWaiting + this.#numSubmitting,
      numFreeSlots: this.#scheduler.numFreeSlots,
      numSteps: this.#loop.numSteps,
    };
  }

  /**
   * Runs a step for each way of drawing a token, so that the first request does not pay for one-time work. Then the engine is ready.
   * @throws {ModelError} the model cannot be run
   */
  async warmUp(): Promise<void> {
    // The graph always finds the likeliest token. On a device, drawing from a few tokens and drawing from all are two code paths.
    for (const topK of [1, 0]) {
      if (this.#state !== 'starting') return;
      for await (const event of this.#startProbe({ topK })) {
        if (event.type === 'error' && this.#state === 'starting') throw cannotRun(event.error);
      }
    }
    if (this.#state === 'starting') this.#state = 'ready';
  }

  async submit(request: GenerateRequest, signal: AbortSignal): Promise<AsyncIterable<GenerationEvent>> {
    this.#assertReady();
    const numAnswers = request.prompts.length * request.n;
    checkNumAnswers(request, { maxBatchSize: this.#options.runner.limits.maxBatchSize, ...this.#options });
    this.#scheduler.checkRoom(this.#numSubmitting + numAnswers);
    this.#numSubmitting += numAnswers;
    try {
      return await this.#accept(request, signal);
    } finally {
      this.#numSubmitting -= numAnswers;
      this.#reportIdle();
    }
  }

  /** Refuses new requests, and resolves when all accepted ones have ended. */
  async drain(): Promise<void> {
    if (this.#state !== 'stopped') this.#state = 'draining';
    if (this.#isIdle) return;
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve;
    });
  }

  /**
   * Ends all open requests with an error, terminates the step in flight, and frees the engine after it.
   * @param reason for the clients of these requests and of later ones
   */
  async dispose(reason = this.#stopReason): Promise<void> {
    const { runner, tokenizer } = this.#options;
    this.#stopReason = reason;
    this.#state = 'stopped';
    for (const request of this.#openRequests) this.#fail(request, this.#stopError());
    runner.terminate();
    // Rejects prompts that are being tokenized, so that they do not wait for the step.
    await tokenizer?.dispose();
    await this.#loop.idle();
    runner.dispose();
  }

  async #accept(request: GenerateRequest, signal: AbortSignal): Promise<OutputStream> {
    const { runner, tokenizer, clock, vocabSize, eosTokenIds } = this.#options;
    const { maxModelLen } = runner.limits;
    const arrivedAtMs = clock.now();
    const tokens = await this.#unlessStopped(tokenize(request, { tokenizer, maxModelLen, signal }), signal);
    const tokenizeMs = clock.now() - arrivedAtMs;
    if (tokens === undefined) return OutputStream.closed();
    // A prompt that was being tokenized when draining began is still served.
    if (this.#state === 'stopped') throw this.#stopError();
    const sequences = toSequences({ request, ...tokens, arrivedAtMs }, { maxModelLen, vocabSize, eosTokenIds });
    return this.#start(request, sequences, { tokenizeMs, signal });
  }

  #start(
    request: Omit<GenerateRequest, 'prompts'>,
    sequences: readonly Sequence[],
    { tokenizeMs = 0, signal }: StartOptions,
  ): OutputStream {
    this.#scheduler.add(...sequences);
    const { reportPrompt, stop, stopTokenIds, includeStop, minNewTokens: minTokens, skipSpecialTokens } = request;
    const abort = () => this.#abort(open);
    const stream = new OutputStream(this.#options.maxPendingEvents, abort);
    signal?.addEventListener('abort', abort);
    const all = sequences.flatMap((sequence) => [sequence, ...sequence.forks]);
    const open: OpenRequest = {
      stream,
      sequences: all,
      n: request.n,
      numUnfinished: all.length,
      reportPrompt,
      stopTokenIds,
      includeStop,
      forget: () => signal?.removeEventListener('abort', abort),
      tokenizeMs,
    };
    for (const [choice, sequence] of all.entries()) {
      const decoder = this.#options.tokenizer?.createDecoder({ skipSpecialTokens });
      const text = new OutputText(decoder, { stop: [...stop], includeStop, minTokens });
      this.#outputs.set(sequence, { request: open, choice, text, detokenizeMs: 0 });
    }
    this.#loop.wake();
    return stream;
  }

  /** Starts a request of the engine's own, for one token. */
  #startProbe({ topK }: { readonly topK: number }): OutputStream {
    const request = { ...requestDefaults, id: 'warm-up', sampling: { ...greedy, temperature: 1, topK } };
    const sequence = new Sequence({
      ...request,
      promptTokenIds: [0],
      maxNewTokens: 1,
      arrivedAtMs: this.#options.clock.now(),
    });
    return this.#start(request, [sequence], {});
  }

  #assertReady(): void {
    if (this.#state === 'starting') throw new UnavailableError('the engine is starting up');
    if (this.#state === 'draining') throw new UnavailableError();
    if (this.#state === 'stopped') throw this.#stopError();
  }

  #stopError(): UnavailableError {
    return new UnavailableError(this.#stopReason);
  }

  /** Undefined if the client disconnected meanwhile. */
  async #unlessStopped<T>(work: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
    try {
      const done = await work;
      return signal.aborted ? undefined : done;
    } catch (error) {
      if (signal.aborted) return undefined;
      if (this.#state === 'stopped') throw this.#stopError();
      throw error;
    }
  }

  #publish(sequence: Sequence, token: SampledToken): void {
    const output = this.#outputs.get(sequence);
    if (output === undefined) return;
    const { clock, maxPendingEvents } = this.#options;
    const { request, choice } = output;
    if (request.stream.isFull) {
      this.#fail(request, new ClientTooSlowError(maxPendingEvents));
      return;
    }
    const index = sequence.outputTokenIds.length - 1;
    if (index === 0 && request.reportPrompt && sequence.choice === 0) this.#publishPrompt(sequence, output);
    const startedAtMs = clock.now();
    const isEnd = sequence.finishReason === 'stop';
    const { text, stoppedBy } = isEnd && !request.includeStop ? noText : output.text.push(token.id);
    if (stoppedBy !== undefined) this.#scheduler.finish(sequence, 'stop');
    const isLast = sequence.status === 'finished';
    const rest = isLast && stoppedBy === undefined ? output.text.end() : '';
    output.detokenizeMs += clock.now() - startedAtMs;
    request.stream.push({ type: 'token', choice, index, token, text: text + rest, isLast });
    if (!isLast) return;
    const isStop = isEnd || stoppedBy !== undefined;
    const stopReason = stoppedBy ?? (request.stopTokenIds.includes(token.id) ? token.id : undefined);
    const end = isStop ? { finishReason: 'stop' as const, stopReason } : { finishReason: 'length' as const };
    request.stream.push(finishedEvent(sequence, output, end));
    this.#forget(sequence, request);
  }

  #publishPrompt({ promptTokenIds: tokenIds, promptLogprobs }: Sequence, { request, choice }: Output): void {
    const prompt = choice / request.n;
    const logprobs = promptLogprobs.length > 0 ? { logprobs: [undefined, ...promptLogprobs] } : {};
    request.stream.push({ type: 'prompt', prompt, tokenIds, ...logprobs });
  }

  #forget(sequence: Sequence, request: OpenRequest): void {
    this.#outputs.delete(sequence);
    if (--request.numUnfinished > 0) return;
    request.stream.end();
    request.forget();
    this.#reportIdle();
  }

  #failSequence(sequence: Sequence, error: ServingError): void {
    const output = this.#outputs.get(sequence);
    if (output !== undefined) this.#fail(output.request, error);
  }

  /** Ends a whole request with an error. */
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
      this.#scheduler.finish(sequence, reason);
      this.#outputs.delete(sequence);
    }
    forget();
    this.#reportIdle();
  }

  get #openRequests(): ReadonlySet<OpenRequest> {
    return new Set([...this.#outputs.values()].map(({ request }) => request));
  }

  #breakDown(error: unknown): void {
    this.#stopReason = 'a bug has stopped the engine';
    this.#state = 'stopped';
    for (const request of this.#openRequests) this.#fail(request, new InternalError());
    this.#options.onDefect(error);
  }

  #reportIdle(): void {
    if (this.#isIdle) this.#onIdle?.();
  }

  get #isIdle(): boolean {
    return this.#outputs.size === 0 && this.#numSubmitting === 0;
  }
}

function cannotRun({ cause, message }: ServingError): ModelError {
  return new ModelError(`the model cannot be run: ${messageOf(cause ?? message)}`);
}

const noText = { text: '', stoppedBy: undefined } as const;
