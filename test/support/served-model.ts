import type { ServedModel } from '../../src/core/index.ts';

/** A model that tells its name and nothing else, unless `changes` says more. */
export function fakeModel(changes: Partial<ServedModel> = {}): ServedModel {
  const name = changes.name ?? 'fake';
  return {
    name,
    names: [name],
    createdAtSeconds: 1_700_000_000,
    maxModelLen: undefined,
    maxBatchSize: undefined,
    maxQueueSize: undefined,
    vocabSize: undefined,
    codec: undefined,
    chat: undefined,
    ...changes,
  };
}
