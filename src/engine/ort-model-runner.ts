import { setImmediate } from 'node:timers/promises';
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
import { KvCache, kvCacheShape } from './kv-cache.ts';
import { NativeBuffer, Session, type SessionOptions } from './ort/index.ts';
import { type GraphRun, planRuns } from './run-plan.ts';
import { isGreedy, Sampler, type TokenSampler } from './sampler.ts';
import { numLogits, StepInputs } from './step-inputs.ts';

/** Rows drawn between two turns of the event loop: one takes up to some 4 ms where the vocabulary is 50,000. */
const rowsPerTurn = 4;

export interface OrtModelRunnerOptions {
  readonly model: Model;
  readonly limits: StepLimits;
  readonly session: SessionOptions;
  readonly sampler?: TokenSampler;
}

/** Runs steps with ONNX Runtime, off the event loop, keys and values appended in place. */
export class OrtModelRunner implements ModelRunner {
  readonly limits: StepLimits;
  readonly #vocabSize: number;
  readonly #session: Session;
  readonly #cache: KvCache;
  readonly #inputs: StepInputs;
  readonly #logitsBuffer: NativeBuffer;
  /** [maxBatchSize, vocabulary] */
  readonly #logits: Float32Array;
  readonly #nextTokenBuffer: NativeBuffer;
  /** [maxBatchSize] */
  readonly #nextToken: BigInt64Array;
  readonly #sampler: TokenSampler;
  #isDisposed = false;

  /** @throws {ModelError} the graph cannot be loaded, or there is no room for the KV cache */
  constructor({ model, limits, session, sampler = new Sampler(model.config.vocabSize) }: OrtModelRunnerOptions) {
    const { vocabSize } = model.config;
    this.limits = limits;
    this.#vocabSize = vocabSize;
    this.#cache = new KvCache(kvCacheShape(model.config, limits.maxBatchSize, limits.maxModelLen));
    try {
      this.#session = new Session(model.graphPath, session);
    } catch (error) {
      this.#cache.free();
      throw new ModelError(
        `ONNX Runtime cannot load ${model.graphPath}: ${messageOf(error)}; delete its folder to have it built anew`,
      );
    }
    this.#inputs = new StepInputs(this.#session, {
      maxRows: limits.maxBatchSize,
      maxTokens: limits.maxStepTokens,
    });
    this.#logitsBuffer = new NativeBuffer(limits.maxBatchSize * vocabSize * Float32Array.BYTES_PER_ELEMENT);
    this.#logits = new Float32Array(this.#logitsBuffer.bytes);
    this.#nextTokenBuffer = new NativeBuffer(limits.maxBatchSize * BigInt64Array.BYTES_PER_ELEMENT);
    this.#nextToken = new BigInt64Array(this.#nextTokenBuffer.bytes);
    this.#sampler = sampler;
  }

  async run(step: Step): Promise<readonly (SampledToken | undefined)[]> {
    const tokens = new Array<SampledToken | undefined>(step.rows.length).fill(undefined);
    try {
      for (const move of step.moves) this.#cache.move(move);
      for (const run of planRuns(step, this.limits.maxStepTokens)) await this.#run(run, tokens);
    } catch (error) {
      throw new EngineError(`the model could not be run: ${messageOf(error)}`, error);
    }
    return tokens;
  }

  dispose(): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.#session.release();
    this.#logitsBuffer.free();
    this.#nextTokenBuffer.free();
    this.#inputs.free();
    this.#cache.free();
  }

  async #run(run: GraphRun, tokens: (SampledToken | undefined)[]): Promise<void> {
    const sampled = this.#inputs.fill(run);
    for (const group of ['decode', 'prompt'] as const) {
      const { firstSlot, rows } = run[group];
      this.#cache.bind(this.#session, group, { firstSlot, numRows: rows.length });
    }
    const numRows = numLogits(sampled);
    const logitsShape = [numRows, this.#vocabSize];
    this.#session.bindOutput('logits', { buffer: this.#logitsBuffer, type: 'float32', shape: logitsShape });
    this.#session.bindOutput('next_token', { buffer: this.#nextTokenBuffer, type: 'int64', shape: [numRows] });
    await this.#session.run();
    let numDrawn = 0;
    for (const [i, { index, row }] of sampled.entries()) {
      const { sampling, outputTokenIds } = row.sequence;
      if (isGreedy(sampling)) {
        tokens[index] = { tokenId: Number(this.#nextToken[i]) };
        continue;
      }
      if (++numDrawn % rowsPerTurn === 0) await setImmediate();
      const logits = this.#logits.subarray(i * this.#vocabSize, (i + 1) * this.#vocabSize);
      tokens[index] = { tokenId: this.#sampler.sample(logits, sampling, outputTokenIds.length) };
    }
  }
}
