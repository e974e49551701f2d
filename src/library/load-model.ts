import { loadOptions, type Settings } from '../config/index.ts';
import { UserError } from '../core/index.ts';
import type { OpenReporter } from '../store/index.ts';
import { LoadedModel } from './loaded-model.ts';

const optionKeys = [
  'revision',
  'servedModelName',
  'cacheDir',
  'device',
  'precision',
  'threads',
  'spinning',
  'maxBatchSize',
  'maxModelLen',
  'maxStepTokens',
  'batchTimeoutMs',
  'maxQueueSize',
  'maxPendingEvents',
] as const satisfies readonly (keyof Settings)[];

/** How far a task of loading has come. */
export interface LoadProgress {
  /** What is being done, for people to read. */
  readonly task: string;
  readonly done: number;
  readonly total: number;
}

/** The settings of `weft serve` that concern the model and its batches, under the same names and with the same defaults. */
export type LoadOptions = { readonly [Key in (typeof optionKeys)[number]]?: Settings[Key] | undefined } & {
  /** Called while a model is downloaded and its graph is built. */
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined;
  /** Called with problems that Weft could solve itself, such as a damaged file in its cache. */
  readonly onWarning?: ((message: string) => void) | undefined;
  /**
   * Called when a step of the engine fails, and when a bug or a damaged file stops the model. Requests that end because of it get an
   * error as well, but not always the cause.
   */
  readonly onError?: ((error: Error) => void) | undefined;
};

/**
 * Loads a model and everything that runs it. Downloads the model and builds its graph if necessary.
 * @param name a folder, the name of a local model or `OWNER/NAME` on the Hugging Face hub; by default the model that comes with Weft
 * @throws {UserError} an option is not valid, or the device cannot be used
 * @throws {ModelError} the model cannot be found, downloaded or run
 */
export async function loadModel(
  name?: string,
  { onProgress = () => {}, onWarning = () => {}, onError = () => {}, ...options }: LoadOptions = {},
): Promise<LoadedModel> {
  if (name !== undefined && typeof name !== 'string') {
    throw new UserError('the name of the model must be a string; options are the second argument');
  }
  if (name === '') throw new UserError('the name of the model is empty');
  const settings = loadOptions(optionKeys, options);
  return LoadedModel.load(
    { ...settings, model: name ?? settings.model },
    { environment: process.env, reporter: reporterOf(onProgress, onWarning), nameOf: (key) => key, onError },
  );
}

function reporterOf(onProgress: (progress: LoadProgress) => void, onWarning: (message: string) => void): OpenReporter {
  return {
    warn: onWarning,
    progressOf: (task) => (done, total) => onProgress({ task, done, total }),
    progressOfPull: () => ({
      onProgress: ({ file, bytes, totalBytes }) =>
        onProgress({ task: `downloading ${file}`, done: bytes, total: totalBytes }),
      onWait: (file) => onWarning(`another process is downloading ${file}; waiting for it`),
    }),
  };
}
