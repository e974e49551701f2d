export type { PullOptions, PullProgress } from './hub/pull.ts';
export {
  embeddedModelFolder,
  locate,
  type OpenReporter,
  openByName,
  openStore,
  randomModelsFolder,
} from './local-models.ts';
export { ModelStore, type StoredModel } from './model-store.ts';
