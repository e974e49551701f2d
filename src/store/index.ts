export type { PullOptions, PullProgress } from './hub/pull.ts';
export { ModelStore, type StoredModel } from './model-store.ts';
