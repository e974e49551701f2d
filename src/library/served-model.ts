import type { ServedModel } from '../core/index.ts';

/** Names that every model answers to: clients of TGI send one of these, whatever the model. */
const aliases: readonly string[] = ['tgi', 'dummy'];

/** Facts of a model that not every generator tells. */
type Facts = Partial<Omit<ServedModel, 'name' | 'names' | 'createdAt'>>;

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
    names: [...new Set([...names, ...aliases])],
    createdAt: Math.floor(Date.now() / 1000),
  };
}
