import {
  ClientTooSlowError,
  type Clock,
  EngineError,
  type GenerateRequest,
  type GenerationEvent,
  type GeneratorStats,
  greedy,
  InternalError,
  InvalidParameterError,
  ModelError,
  type ModelRunner,
  messageOf,
  type SampledToken,
  type ServingError,
  type TextGenerator,
  UnavailableError,
} from '../core/index.ts';
import { Scheduler, Sequence } from '../scheduler/index.ts';
import type { Tokenizer } from '../tokenizer/index.ts';
import { EngineLoop } from './engine-loop.ts';
import { finishedEvent, type Output } from './output.ts';
import { OutputStream } from './output-stream.ts';
import { OutputText } from './output-text.ts';
import { promptTooLong, toSequence } from './to-sequence.ts';

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
  readonly stop?: readonly string[];
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
      eosTokenIds: new Set(options.eosTokenIds),
      batchTimeoutMs: options.batchTimeoutMs,
      maxQueueSize: options.maxQueueSize,
    });
    this.#loop = new EngineLoop({
      scheduler: this.#scheduler,
      runner: options.runner,
      clock: options.clock,
      onOutputs: (outputs) => {
        for (const { sequence, result } of outputs) {
          if (result instanceof EngineError) this.#fail(sequence, result);
          else this.#publish(sequence, result);
        }
      },
      onLost: (sequences, error) => {
        for (const sequence of sequences) this.#fail(sequence, error);
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
    this.#scheduler.checkRoom(this.#numSubmitting);
    this.#numSubmitting++;
    try {
      return await this.#accept(request, signal);
    } finally {
      this.#numSubmitting--;
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
    for (const sequence of [...this.#outputs.keys()]) {
      this.#scheduler.finish(sequence, 'error');
      this.#fail(sequence, this.#stopError());
    }
    runner.terminate();
    // Rejects prompts that are being tokenized, so that they do not wait for the step.
    await tokenizer?.dispose();
    await this.#loop.idle();
    runner.dispose();
  }

  async #accept(request: GenerateRequest, signal: AbortSignal): Promise<OutputStream> {
    const { runner, clock, vocabSize } = this.#options;
    const arrivedAtMs = clock.now();
    const tokenIds = await this.#tokenize(request.prompt, signal);
    const tokenizeMs = clock.now() - arrivedAtMs;
    if (signal.aborted) return OutputStream.closed();
    // A prompt that was being tokenized when draining began is still served.
    if (this.#state === 'stopped') throw this.#stopError();
    const { maxModelLen } = runner.limits;
    const sequence = toSequence(request, { tokenIds, arrivedAtMs }, { maxModelLen, vocabSize });
    return this.#start(sequence, { stop: [...request.stop], tokenizeMs, signal });
  }

  #start(sequence: Sequence, { stop = [], tokenizeMs = 0, signal }: StartOptions): OutputStream {
    this.#scheduler.add(sequence);
    const abort = () => this.#abort(sequence);
    const stream = new OutputStream(this.#options.maxPendingEvents, abort);
    const text = new OutputText(this.#options.tokenizer?.createDecoder(), stop);
    signal?.addEventListener('abort', abort);
    const forget = () => signal?.removeEventListener('abort', abort);
    this.#outputs.set(sequence, { stream, text, forget, tokenizeMs, detokenizeMs: 0 });
    this.#loop.wake();
    return stream;
  }

  /** Starts a request of the engine's own, for one token. */
  #startProbe({ topK }: { readonly topK: number }): OutputStream {
    const sequence = new Sequence({
      id: 'warm-up',
      promptTokenIds: [0],
      sampling: { ...greedy, temperature: 1, topK },
      maxNewTokens: 1,
      arrivedAtMs: this.#options.clock.now(),
    });
    return this.#start(sequence, {});
  }

  #assertReady(): void {
    if (this.#state === 'starting') throw new UnavailableError('the engine is starting up');
    if (this.#state === 'draining') throw new UnavailableError();
    if (this.#state === 'stopped') throw this.#stopError();
  }

  #stopError(): UnavailableError {
    return new UnavailableError(this.#stopReason);
  }

  async #tokenize(prompt: GenerateRequest['prompt'], signal: AbortSignal): Promise<readonly number[]> {
    // A copy, made before anything is awaited: the caller may change its own list.
    if (typeof prompt !== 'string') return [...prompt];
    const { tokenizer, runner } = this.#options;
    if (tokenizer === undefined) {
      throw new InvalidParameterError({
        parameter: 'prompt',
        problem: 'is text, and this model has no tokenizer: give a list of token ids',
      });
    }
    const { maxModelLen } = runner.limits;
    const minTokens = tokenizer.minTokens(prompt);
    if (minTokens >= maxModelLen) throw promptTooLong(`at least ${minTokens}`, maxModelLen);
    try {
      return await tokenizer.encode(prompt, signal);
    } catch (error) {
      if (signal.aborted) return [];
      if (this.#state === 'stopped') throw this.#stopError();
      throw error;
    }
  }

  #publish(sequence: Sequence, token: SampledToken): void {
    const output = this.#outputs.get(sequence);
    if (output === undefined) return;
    const { clock, maxPendingEvents } = this.#options;
    if (output.stream.isFull) {
      this.#scheduler.finish(sequence, 'error');
      this.#fail(sequence, new ClientTooSlowError(maxPendingEvents));
      return;
    }
    const startedAtMs = clock.now();
    const isEos = sequence.finishReason === 'stop';
    const { text, isStopped } = isEos ? noText : output.text.push(token.id);
    if (isStopped) this.#scheduler.finish(sequence, 'stop');
    const isLast = sequence.status === 'finished';
    const rest = isLast && !isStopped ? output.text.end() : '';
    output.detokenizeMs += clock.now() - startedAtMs;
    output.stream.push({ type: 'token', index: sequence.outputTokenIds.length - 1, token, text: text + rest });
    if (!isLast) return;
    output.stream.push(finishedEvent(sequence, output, isStopped || isEos ? 'stop' : 'length'));
    this.#forget(sequence);
  }

  #fail(sequence: Sequence, error: ServingError): void {
    this.#outputs.get(sequence)?.stream.push({ type: 'error', error });
    this.#forget(sequence);
  }

  #breakDown(error: unknown): void {
    this.#stopReason = 'a bug has stopped the engine';
    this.#state = 'stopped';
    for (const sequence of [...this.#outputs.keys()]) this.#fail(sequence, new InternalError());
    this.#options.onDefect(error);
  }

  #abort(sequence: Sequence): void {
    if (!this.#outputs.has(sequence)) return;
    this.#scheduler.finish(sequence, 'abort');
    this.#outputs.get(sequence)?.stream.close();
    this.#forget(sequence);
  }

  #forget(sequence: Sequence): void {
    this.#outputs.get(sequence)?.forget();
    this.#outputs.delete(sequence);
    this.#reportIdle();
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

const noText = { text: '', isStopped: false } as const;
