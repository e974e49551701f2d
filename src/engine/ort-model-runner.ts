import {
  EngineError,
  ModelError,
  type ModelRunner,
  messageOf,
  type RowResult,
  type Step,
  type StepLimits,
} from '../core/index.ts';
import type { Model } from '../model/index.ts';
import { Sampler, type TokenSampler } from '../sampling/index.ts';
import { DeviceKvCache } from './device-kv-cache.ts';
import { DeviceLogits } from './device-logits.ts';
import { HostKvCache } from './host-kv-cache.ts';
import { type KvCache, kvCacheShape } from './kv-cache.ts';
import { type LogitRows, planLogits } from './logit-rows.ts';
import { HostLogits, type Logits } from './logits.ts';
import { type NativeArray, nativeArray, OrtError, Resources, Session, type SessionOptions } from './ort/index.ts';
import { rowResults } from './row-results.ts';
import { RowSampler } from './row-sampler.ts';
import { type GraphRun, planRuns } from './run-plan.ts';
import { StepInputs } from './step-inputs.ts';

export interface OrtModelRunnerOptions {
  readonly model: Model;
  readonly limits: StepLimits;
  readonly session: SessionOptions;
  readonly sampler?: TokenSampler;
  /** For a cache in the memory of a device: see {@link DeviceKvCache}. */
  readonly blockTokens?: number;
}

/**
 * Runs steps with ONNX Runtime, off the event loop. Keys and values are appended in place.
 * On the CPU, nothing is awaited before a run starts, so that the last step's tokens are sent while this step is computed.
 */
export class OrtModelRunner implements ModelRunner {
  readonly limits: StepLimits;
  /** All native memory of the engine. */
  readonly #owned = new Resources();
  readonly #session: Session;
  readonly #cache: KvCache;
  readonly #inputs: StepInputs;
  readonly #logits: Logits;
  /** The most likely token of each row of logits, and its logit: [rows, 1]. */
  readonly #nextToken: NativeArray<BigInt64Array>;
  readonly #nextLogit: NativeArray<Float32Array>;
  readonly #sampling: RowSampler;

  /** @throws {ModelError} the graph cannot be loaded, or there is not enough memory */
  constructor({ model, limits, session, blockTokens, ...options }: OrtModelRunnerOptions) {
    const { maxBatchSize, maxModelLen, maxStepTokens } = limits;
    const { vocabSize } = model.config;
    const owned = this.#owned;
    this.limits = limits;
    try {
      this.#session = owned.own(load(model, { ...session, flashAttention: isFlashInvariant(model, session) }));
      const shape = kvCacheShape(model, maxBatchSize, maxModelLen);
      const maxRows = maxBatchSize + maxStepTokens;
      const logitsShape = { maxDrawn: maxBatchSize, maxRows, vocabSize };
      if (this.#session.hasDeviceMemory) {
        this.#cache = new DeviceKvCache(this.#session, { shape, maxStepTokens, session, blockTokens, owned });
        this.#logits = new DeviceLogits(this.#session, logitsShape, { session, owned });
      } else {
        this.#cache = new HostKvCache(this.#session, shape, owned);
        this.#logits = new HostLogits(this.#session, logitsShape, owned);
      }
      this.#inputs = new StepInputs(this.#session, { maxRows: maxBatchSize, maxTokens: maxStepTokens }, owned);
      this.#nextToken = owned.own(nativeArray(BigInt64Array, maxRows));
      this.#nextLogit = owned.own(nativeArray(Float32Array, maxRows));
      const sampler = options.sampler ?? new Sampler(vocabSize);
      this.#sampling = new RowSampler({ shape: logitsShape, logits: this.#logits, sampler, session, owned });
    } catch (error) {
      owned.free();
      if (error instanceof ModelError) throw error;
      throw new ModelError(`the model cannot be prepared: ${messageOf(error)}`);
    }
  }

  async run(step: Step): Promise<readonly RowResult[]> {
    const results = new Array<RowResult>(step.rows.length).fill({ tokens: [] });
    // If this fails, the contents of the slots are unknown: a defect.
    const moving = this.#cache.move(step.moves);
    if (moving !== undefined) await moving;
    try {
      for (const run of planRuns(step, this.limits.maxStepTokens)) await this.#run(run, results);
    } catch (error) {
      if (!(error instanceof OrtError)) throw error;
      throw new EngineError('the model could not be run', error);
    }
    return results;
  }

  terminate(): void {
    this.#session.terminate();
    this.#sampling.terminate();
  }

  dispose(): void {
    this.#owned.free();
  }

  async #run(run: GraphRun, results: RowResult[]): Promise<void> {
    const plan = planLogits(run);
    // Without any row of logits, ArgMax would fail.
    const logitTokens = plan.tokens.length > 0 ? plan.tokens : [0];
    this.#inputs.fill(run, logitTokens);
    const binding = this.#cache.bind(run);
    if (binding !== undefined) await binding;
    this.#bindOutputs(logitTokens.length);
    await this.#session.run();
    await this.#cache.settle(run);
    await this.#sample(plan, results);
  }

  #bindOutputs(numRows: number): void {
    this.#logits.bind(numRows);
    const shape = [numRows, 1];
    this.#session.bindOutput('next_token', { buffer: this.#nextToken.buffer, type: 'int64', shape });
    this.#session.bindOutput('next_logit', { buffer: this.#nextLogit.buffer, type: 'float32', shape });
  }

  async #sample(plan: LogitRows, results: RowResult[]): Promise<void> {
    const best = (at: number): number | undefined =>
      Number.isFinite(this.#nextLogit.values[at]) ? Number(this.#nextToken.values[at]) : undefined;
    for (const [index, result] of rowResults(plan, await this.#sampling.sample(plan, best))) results[index] = result;
  }
}

/**
 * Whether a row's attention with the flash kernel is the same in any batch. With more threads than heads, the kernel splits a row's
 * keys over the spare threads, and how many are spare depends on the other rows. See docs/decisions/0012.
 */
function isFlashInvariant({ config: { numHeads } }: Model, { threads }: SessionOptions): boolean {
  return threads <= numHeads;
}

/** @throws {ModelError} the graph cannot be loaded */
function load({ graphPath }: Model, options: SessionOptions): Session {
  try {
    return new Session(graphPath, options);
  } catch (error) {
    const remedy =
      (options.device?.kind ?? 'cpu') === 'cpu'
        ? 'delete its folder to rebuild it'
        : 'the device may lack memory or an operator of the graph; or delete the folder of the graph to rebuild it';
    throw new ModelError(`ONNX Runtime cannot load ${graphPath}: ${messageOf(error)}; ${remedy}`);
  }
}
