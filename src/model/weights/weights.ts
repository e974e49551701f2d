import { ModelError } from '../../core/index.ts';
import type { FloatType } from './float-types.ts';

/** A tensor in a weights file. */
export interface TensorInfo {
  readonly dtype: FloatType;
  readonly shape: readonly number[];
}

/** Named tensors of a model, read one at a time so that memory stays small. */
export interface Weights {
  /** Undefined if there is no tensor of that name. */
  info(name: string): TensorInfo | undefined;
  /** The values in row-major order. @throws {ModelError} missing or broken */
  read(name: string): Promise<Float32Array>;
  close(): Promise<void>;
}

export function numElements(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Whether a value from a file is a list of extents or offsets. */
export function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}

/** Several files read as one: the shards of an index. */
export class ShardedWeights implements Weights {
  readonly #shardOf: ReadonlyMap<string, Weights>;
  readonly #shards: readonly Weights[];

  constructor(shards: readonly Weights[], shardOf: ReadonlyMap<string, Weights>) {
    this.#shards = shards;
    this.#shardOf = shardOf;
  }

  info(name: string): TensorInfo | undefined {
    return this.#shardOf.get(name)?.info(name);
  }

  async read(name: string): Promise<Float32Array> {
    const shard = this.#shardOf.get(name);
    if (shard === undefined) throw new ModelError(`the weights have no tensor ${name}`);
    return shard.read(name);
  }

  async close(): Promise<void> {
    await Promise.all(this.#shards.map((shard) => shard.close()));
  }
}
