import type { ChatPrompts } from '../chat/index.ts';
import {
  type FinishedEvent,
  messageOf,
  type Precision,
  type Prompt,
  type PromptEvent,
  type ServedModel,
  ServingError,
  type TextGenerator,
  type TokenEvent,
  UnavailableError,
} from '../core/index.ts';
import type { LlmEngine } from '../llm/index.ts';
import type { GenerateOptions } from './generate-options.ts';
import { type EngineContext, type EngineSettings, type OpenEngine, openEngine } from './open-engine.ts';
import { inOptions, toRequest } from './to-request.ts';

type OnError = (error: Error) => void;

/** A model that is ready to generate. */
export class LoadedModel {
  readonly name: string;
  /** The device that the model runs on, in words. */
  readonly deviceName: string;
  readonly precision: Precision;
  /** The context length in tokens: prompt and output together. */
  readonly maxModelLen: number;
  /** Accepts the requests of all callers, including those of `weftRoutes`. */
  readonly generator: TextGenerator;
  /** What the server tells of the model: its names and limits. */
  readonly served: ServedModel;
  readonly #engine: LlmEngine;
  readonly #chat: ChatPrompts | undefined;
  readonly #onError: OnError;
  #stopWatching = () => {};
  #stopReason: ServingError | undefined;
  #stopped: Promise<void> | undefined;

  private constructor({ engine, model, limits, device, served, chat }: OpenEngine, onError: OnError) {
    this.name = model.name;
    this.deviceName = device;
    this.precision = model.precision;
    this.maxModelLen = limits.maxModelLen;
    this.generator = engine;
    this.served = served;
    this.#engine = engine;
    this.#chat = chat;
    this.#onError = onError;
  }

  /** @internal */
  static async load(
    settings: EngineSettings,
    { onError, ...context }: Omit<EngineContext, 'onFailure' | 'onDefect'> & { readonly onError: OnError },
  ): Promise<LoadedModel> {
    let loaded: LoadedModel | undefined;
    const opened = await openEngine(settings, {
      ...context,
      onFailure: onError,
      onDefect: (defect) => {
        if (loaded) loaded.#breakDown(stoppedBy(defect));
        else onError(stoppedBy(defect));
      },
    });
    loaded = new LoadedModel(opened, onError);
    await loaded.#start(opened);
    return loaded;
  }

  /**
   * Continues a prompt. Yields one `token` event per token, then one `finished` event, for each answer if there are several; before them a
   * `prompt` event if `promptLogprobs` asks for it. The request is submitted by the first iteration; leaving the loop cancels it.
   * @throws {ServingError} the request is not valid, is refused or fails; `code` says which
   * @throws the reason of `signal` when it aborts
   */
  async *generate(
    prompt: Prompt,
    { signal, ...options }: GenerateOptions = {},
  ): AsyncGenerator<PromptEvent | TokenEvent | FinishedEvent, void, undefined> {
    const request = toRequest(prompt, options);
    signal?.throwIfAborted();
    const cancelled = new AbortController();
    const cancel = () => cancelled.abort();
    signal?.addEventListener('abort', cancel, { once: true });
    let numUnfinished = request.n;
    try {
      for await (const event of await this.generator.submit(request, cancelled.signal)) {
        signal?.throwIfAborted();
        if (event.type === 'error') throw event.error;
        yield event;
        if (event.type === 'finished' && --numUnfinished === 0) return;
      }
      signal?.throwIfAborted();
    } catch (error) {
      throw this.#explained(inOptions(error));
    } finally {
      signal?.removeEventListener('abort', cancel);
      cancel();
    }
  }

  /** Frees the model. Open requests end with an `unavailable` error; wait for them first if they should finish. */
  async close(): Promise<void> {
    return this.#stop(new UnavailableError('the model is closed'));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #start({ engine, watchFiles }: OpenEngine): Promise<void> {
    try {
      this.#stopWatching = await watchFiles((problem) => this.#breakDown(new UnavailableError(problem)));
      await engine.warmUp();
      if (!engine.isReady) throw this.#stopReason ?? new UnavailableError();
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** Stops for a reason that is not the caller's. */
  #breakDown(reason: ServingError): void {
    this.#onError(reason);
    this.#stop(reason).catch(this.#onError);
  }

  async #stop(reason: ServingError): Promise<void> {
    this.#stopReason ??= reason;
    this.#stopWatching();
    this.#stopped ??= Promise.all([this.#engine.dispose(reason.message), this.#chat?.dispose()]).then(() => {});
    return this.#stopped;
  }

  /** The engine knows that it was stopped, but not why. */
  #explained(error: unknown): unknown {
    const isStop = error instanceof ServingError && (error.code === 'unavailable' || error.code === 'internal_error');
    return isStop ? (this.#stopReason ?? error) : error;
  }
}

function stoppedBy(defect: unknown): ServingError {
  return new ServingError('internal_error', `a bug stopped the engine: ${messageOf(defect)}`, { cause: defect });
}
