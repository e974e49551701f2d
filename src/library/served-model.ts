import type { ServedModel } from '../core/index.ts';

/** Facts of a model that not every generator tells. */
type Facts = Partial<Omit<ServedModel, 'name' | 'names' | 'createdAtSeconds'>>;

/** Describes a model that is served from now on. @param names the names that it is served under; the first is the one in replies */
export function servedModel(names: readonly string[], facts: Facts = {}): ServedModel {
  const [name = ''] = names;
  return {
    maxModelLen: undefined,
    maxBatchSize: undefined,
    maxQueueSize: undefined,
    vocabSize: undefined,
    codec: undefined,
    chat: undefined,
    ...facts,
    name,
    names: [...new Set(names)],
    createdAtSeconds: Math.floor(Date.now() / 1000),
  };
}
