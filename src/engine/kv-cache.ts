import { ModelError, messageOf, type SlotMove } from '../core/index.ts';
import { type ComputeType, computeTypeOf, type Model } from '../model/index.ts';
import { elementBytes } from './ort/index.ts';
import type { GraphRun } from './run-plan.ts';

export interface KvCacheShape {
  readonly numLayers: number;
  readonly numKvHeads: number;
  readonly headSize: number;
  readonly numSlots: number;
  readonly maxModelLen: number;
  readonly type: ComputeType;
}

export function kvCacheShape(
  { config, precision }: Pick<Model, 'config' | 'precision'>,
  numSlots: number,
  maxModelLen: number,
): KvCacheShape {
  const { numLayers, numKvHeads, headSize } = config;
  return { numLayers, numKvHeads, headSize, numSlots, maxModelLen, type: computeTypeOf(precision) };
}

/** The size of the cache if every slot is full. On the host, pages are allocated when they are written. */
export function kvCacheBytes({ numLayers, numKvHeads, headSize, numSlots, maxModelLen, type }: KvCacheShape): number {
  return 2 * numLayers * numSlots * numKvHeads * maxModelLen * headSize * elementBytes[type];
}

/** The parts of the cache as the graph names them: keys and values of each layer. */
export function partNames({ numLayers }: KvCacheShape): string[] {
  return Array.from({ length: numLayers }, (_, layer) => [`${layer}.key`, `${layer}.value`]).flat();
}

/** The error for a cache that does not fit. */
export function noRoom(shape: KvCacheShape, error: unknown): ModelError {
  const mebibytes = Math.round(kvCacheBytes(shape) / 2 ** 20);
  return new ModelError(
    `there is no room for a KV cache of ${mebibytes} MiB (${messageOf(error)}); a smaller batch or a shorter context needs less`,
    { settings: ['maxBatchSize', 'maxModelLen'] },
  );
}

/** Keys and values of every slot, per part [slots, heads, tokens, head size]. Methods that finish synchronously return no promise. */
export interface KvCache {
  /** Copies the contents of slots to other slots. */
  move(moves: readonly SlotMove[]): Promise<void> | undefined;
  /** Binds the slots of a run's rows as past and present, so that the run appends to them in place. */
  bind(run: GraphRun): Promise<void> | undefined;
  /** Call when the run has ended. Afterwards, the slots hold what the run has appended. */
  settle(run: GraphRun): Promise<void> | undefined;
}
