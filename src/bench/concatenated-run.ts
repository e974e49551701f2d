import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { SessionOptions } from '../engine/index.ts';
import type { ModelConfig } from '../model/index.ts';

type Feeds = Record<string, Tensor>;

/**
 * Runs steps as most programs do: with onnxruntime-node's `run`, on an exported graph that takes the cache as an input and returns a
 * longer copy of it.
 */
export class ConcatenatedRun {
  readonly #session: InferenceSession;
  readonly #config: ModelConfig;

  private constructor(session: InferenceSession, config: ModelConfig) {
    this.#session = session;
    this.#config = config;
  }

  /** @param graphPath of an exported model */
  static async load(graphPath: string, config: ModelConfig, { threads }: SessionOptions): Promise<ConcatenatedRun> {
    const session = await InferenceSession.create(graphPath, { intraOpNumThreads: threads, enableMemPattern: false });
    return new ConcatenatedRun(session, config);
  }

  /**
   * A step whose rows all feed the same number of tokens behind a past of the same length.
   * @returns a function that runs the step
   */
  step({
    numRows,
    numTokens,
    numPast,
  }: {
    numRows: number;
    numTokens: number;
    numPast: number;
  }): () => Promise<unknown> {
    const { numLayers, numHeads, headSize } = this.#config;
    const feeds: Feeds = {
      input_ids: int64([numRows, numTokens], 5n),
      attention_mask: int64([numRows, numPast + numTokens], 1n),
    };
    const past = new Float32Array(numRows * numHeads * numPast * headSize);
    for (let layer = 0; layer < numLayers; layer++) {
      for (const part of ['key', 'value']) {
        feeds[`past_key_values.${layer}.${part}`] = new Tensor('float32', past, [numRows, numHeads, numPast, headSize]);
      }
    }
    return () => this.#session.run(feeds);
  }

  async release(): Promise<void> {
    await this.#session.release();
  }
}

function int64(shape: readonly [number, number], value: bigint): Tensor {
  return new Tensor('int64', new BigInt64Array(shape[0] * shape[1]).fill(value), shape);
}
