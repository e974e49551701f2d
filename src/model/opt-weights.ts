import { ModelError, show } from '../core/index.ts';
import type { Weights } from './weights/index.ts';

/** Where checkpoints put the decoder: `OPTForCausalLM` the first, `OPTModel` and Meta's own the second. */
const prefixes = ['model.decoder.', 'decoder.'] as const;
const embedding = 'embed_tokens.weight';

/** The weights of an OPT by their names below the decoder, each checked for its shape. */
export class OptWeights {
  readonly #weights: Weights;
  readonly #prefix: string;

  /** @throws {ModelError} no OPT decoder is in there */
  constructor(weights: Weights) {
    const prefix = prefixes.find((candidate) => weights.info(candidate + embedding) !== undefined);
    if (prefix === undefined) {
      throw new ModelError(
        `the weights are not those of an OPT: there is no ${prefixes.map((p) => p + embedding).join(' or ')}`,
      );
    }
    this.#weights = weights;
    this.#prefix = prefix;
  }

  /** @throws {ModelError} missing, of another shape, or broken */
  async read(name: string, shape: readonly number[]): Promise<Float32Array> {
    return this.#readFull(this.#prefix + name, shape);
  }

  /** The head's own weights where the checkpoint keeps them. */
  async readHead(shape: readonly number[]): Promise<Float32Array> {
    return this.#readFull('lm_head.weight', shape);
  }

  async #readFull(name: string, shape: readonly number[]): Promise<Float32Array> {
    const info = this.#weights.info(name);
    if (info === undefined)
      throw new ModelError(`the weights lack ${name} in float32, float16 or bfloat16, and config.json asks for it`);
    if (info.shape.length !== shape.length || info.shape.some((size, axis) => size !== shape[axis])) {
      throw new ModelError(`${name} has the shape ${show(info.shape)}, and config.json asks for ${show(shape)}`);
    }
    return this.#weights.read(name);
  }
}
