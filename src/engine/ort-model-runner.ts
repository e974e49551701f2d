import {
  EngineError,
  ModelError,
  type ModelRunner,
  messageOf,
  type SampledToken,
  type Step,
  type StepLimits,
} from '../core/index.ts';
import type { Model } from '../model/index.ts';
import { DeviceKvCache } from './device-kv-cache.ts';
import { DeviceLogits } from './device-logits.ts';
import { HostKvCache } from './host-kv-cache.ts';
import { type KvCache, kvCacheShape } from './kv-cache.ts';
import { type DrawnRow, HostLogits, type Logits } from './logits.ts';
import { type NativeArray, nativeArray, Session, type SessionOptions } from './ort/index.ts';
import { type GraphRun, planRuns } from './run-plan.ts';
import { isGreedy, Sampler, type TokenSampler } from './sampler.ts';
import { numLogits, StepInputs } from './step-inputs.ts';

export interface OrtModelRunnerOptions {
  readonly model: Model;
  readonly limits: StepLimits;
  readonly session: SessionOptions;
  readonly sampler?: TokenSampler;
  /** Of a cache in the memory of a device: see {@link DeviceKvCache}. */
  readonly blockTokens?: number;
}

/** Runs steps with ONNX Runtime, off the event loop, keys and values appended in place. */
export class OrtModelRunner implements ModelRunner {
  readonly limits: StepLimits;
  readonly #session: Session;
  readonly #cache: KvCache;
  readonly #inputs: StepInputs;
  readonly #logits: Logits;
  /** [maxBatchSize] */
  readonly #nextToken: NativeArray<BigInt64Array>;
  readonly #sampler: TokenSampler;
  #isDisposed = false;

  /** @throws {ModelError} the graph cannot be loaded, or there is no room for the KV cache */
  constructor({ model, limits, session, blockTokens, ...options }: OrtModelRunnerOptions) {
    const { maxBatchSize, maxModelLen, maxStepTokens } = limits;
    this.limits = limits;
    this.#session = load(model, { ...session, flashAttention: isFlashInvariant(model, session) });
    const shape = kvCacheShape(model, maxBatchSize, maxModelLen);
    const logitsShape = { maxRows: maxBatchSize, vocabSize: model.config.vocabSize };
    try {
      if (this.#session.hasDeviceMemory) {
        this.#cache = new DeviceKvCache(this.#session, { shape, maxStepTokens, session, blockTokens });
        this.#logits = new DeviceLogits(this.#session, logitsShape, session);
      } else {
        this.#cache = new HostKvCache(this.#session, shape);
        this.#logits = new HostLogits(this.#session, logitsShape);
      }
    } catch (error) {
      this.#session.release();
      if (error instanceof ModelError) throw error;
      throw new ModelError(`the model cannot be prepared: ${messageOf(error)}`);
    }
    this.#inputs = new StepInputs(this.#session, { maxRows: maxBatchSize, maxTokens: maxStepTokens });
    this.#nextToken = nativeArray(BigInt64Array, maxBatchSize);
    this.#sampler = options.sampler ?? new Sampler(model.config.vocabSize);
  }

  async run(step: Step): Promise<readonly (SampledToken | undefined)[]> {
    const tokens = new Array<SampledToken | undefined>(step.rows.length).fill(undefined);
    try {
      await this.#cache.move(step.moves);
      for (const run of planRuns(step, this.limits.maxStepTokens)) await this.#run(run, tokens);
    } catch (error) {
      throw new EngineError(`the model could not be run: ${messageOf(error)}`, error);
    }
    return tokens;
  }

  dispose(): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.#logits.free();
    this.#cache.free();
    this.#session.release();
    this.#nextToken.buffer.free();
    this.#inputs.free();
  }

  async #run(run: GraphRun, tokens: (SampledToken | undefined)[]): Promise<void> {
    const sampled = this.#inputs.fill(run);
    const numRows = numLogits(sampled);
    await this.#cache.bind(run);
    this.#logits.bind(numRows);
    this.#session.bindOutput('next_token', { buffer: this.#nextToken.buffer, type: 'int64', shape: [numRows] });
    await this.#session.run();
    await this.#cache.settle(run);
    const drawn: (DrawnRow & { readonly index: number })[] = [];
    for (const [at, { index, row }] of sampled.entries()) {
      const { sampling, outputTokenIds } = row.sequence;
      if (isGreedy(sampling)) tokens[index] = { tokenId: Number(this.#nextToken.values[at]) };
      else drawn.push({ index, at, sampling, tokenIndex: outputTokenIds.length });
    }
    for (const [i, tokenId] of (await this.#logits.draw(drawn, this.#sampler)).entries()) {
      const place = drawn[i]?.index;
      if (place !== undefined) tokens[place] = { tokenId };
    }
  }
}

/**
 * Whether a row's attention with the flash kernel is the same in any batch. With more threads than heads, the kernel splits the keys of
 * a row over the threads that are left, and how many are left depends on the other rows. See docs/decisions/0012.
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
        ? 'delete its folder to have it built anew'
        : 'the device may lack room, or what the graph takes; or delete its folder to have it built anew';
    throw new ModelError(`ONNX Runtime cannot load ${graphPath}: ${messageOf(error)}; ${remedy}`);
  }
}
