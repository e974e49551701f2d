import {
  type Clock,
  type EngineError,
  type GenerateRequest,
  type GenerationEvent,
  type GeneratorStats,
  greedy,
  InternalError,
  ModelError,
  type ModelRunner,
  messageOf,
  requestDefaults,
  type ServingError,
  type TextGenerator,
  UnavailableError,
} from '../core/index.ts';
import { Scheduler, Sequence } from '../scheduler/index.ts';
import type { Tokenizer } from '../tokenizer/index.ts';
import { EngineLoop } from './engine-loop.ts';
import { type Arrival, OpenRequests } from './open-requests.ts';
import { OutputStream } from './output-stream.ts';
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
  /** Events of one answer that may wait for the client. */
  readonly maxPendingEvents: number;
  /** A step failed, or some of its rows did. Requests that end because of it receive the error. The engine continues. */
  readonly onFailure: (error: EngineError) => void;
  /** A bug has stopped the engine. All open requests have ended with an error. */
  readonly onDefect: (error: unknown) => void;
}

/** After this many failed steps in a row, the engine is not ready until a step succeeds. */
const maxFailuresInARow = 3;

/** A text generator in this process: tokenizer, scheduler and runner combined. */
export class LlmEngine implements TextGenerator {
  readonly #options: LlmEngineOptions;
  readonly #scheduler: Scheduler;
  readonly #loop: EngineLoop;
  readonly #requests: OpenRequests;
  /** Answers whose prompts are being tokenized. They count as waiting. */
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
    this.#requests = new OpenRequests({
      ...options,
      scheduler: this.#scheduler,
      onIdle: () => this.#reportIdle(),
    });
    this.#loop = new EngineLoop({
      scheduler: this.#scheduler,
      runner: options.runner,
      clock: options.clock,
      onOutputs: (outputs) => this.#requests.publish(outputs),
      onLost: (sequences, error) => {
        for (const sequence of sequences) this.#requests.fail(sequence, error);
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
    // The graph always finds the most likely token. On a device, drawing from a few tokens and drawing from all are two code paths.
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
    this.#requests.failAll(() => this.#stopError());
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

  #start(request: Omit<GenerateRequest, 'prompts'>, sequences: readonly Sequence[], arrival: Arrival): OutputStream {
    this.#scheduler.add(...sequences);
    const stream = this.#requests.open(request, sequences, arrival);
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
    return this.#start(request, [sequence], { tokenizeMs: 0, signal: undefined });
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

  #breakDown(error: unknown): void {
    this.#stopReason = 'a bug has stopped the engine';
    this.#state = 'stopped';
    this.#requests.failAll(() => new InternalError());
    this.#options.onDefect(error);
  }

  #reportIdle(): void {
    if (this.#isIdle) this.#onIdle?.();
  }

  get #isIdle(): boolean {
    return this.#requests.isEmpty && this.#numSubmitting === 0;
  }
}

function cannotRun({ cause, message }: ServingError): ModelError {
  return new ModelError(`the model cannot be run: ${messageOf(cause ?? message)}`);
}
