import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheDirOf, loadHubEnvironment, type Settings } from '../config/index.ts';
import type { Precision } from '../core/index.ts';
import { expectMemoryFor, type Int8Range, type Model, type ModelConfig, openModel } from '../model/index.ts';
import type { PullOptions } from './hub/pull.ts';
import { ModelStore, type StoredModel } from './model-store.ts';

/** The model that comes with the package. */
export const embeddedModelFolder = fileURLToPath(new URL('../../models/opt-stories', import.meta.url));

type Environment = Readonly<Record<string, string | undefined>>;

/** Reports what happens while a model is opened. */
export interface OpenReporter {
  /** Starts to report a task that may take long. */
  progressOf(task: string): (done: number, total: number) => void;
  /** Starts to report a download. */
  progressOfPull(): Pick<PullOptions, 'onProgress' | 'onWait'>;
  warn(message: string): void;
}

/** The surroundings in which a model is opened. */
export interface OpenContext {
  readonly environment: Environment;
  readonly reporter: OpenReporter;
}

/** The models on this machine, as this user sees them. @param cacheDir the folder for everything that Weft can build again */
export function openStore(cacheDir: string, environment: Environment): ModelStore {
  return new ModelStore({
    folder: randomModelsFolder(cacheDir),
    embeddedFolder: embeddedModelFolder,
    hub: loadHubEnvironment(environment),
  });
}

/** The folder of random models. */
export function randomModelsFolder(cacheDir: string): string {
  return path.join(cacheDir, 'models');
}

/**
 * Opens a model by any of its names. Downloads it and builds its graph if necessary.
 * @throws {ModelError} the model cannot be found, downloaded or served
 */
export async function openByName(
  name: string,
  settings: Pick<Settings, 'cacheDir' | 'revision'>,
  { precision, ...context }: OpenContext & { readonly precision: Precision },
): Promise<{ readonly folder: string; readonly model: Model }> {
  const { environment, reporter } = context;
  // Half precision is for GPUs, whose weights pass through host memory in parts.
  const memoryBytes = precision === 'fp16' ? Number.POSITIVE_INFINITY : memoryLimit();
  const checkConfig = (config: ModelConfig) => expectMemoryFor(config, { precision, memoryBytes });
  const { folder, ...stored } = await locate(name, settings, { ...context, checkConfig });
  const model = await openModel(folder, cacheDirOf(settings, environment), {
    name: stored.name,
    precision,
    int8Range: int8Range(),
    memoryBytes,
    onProgress: reporter.progressOf(`building the graph of ${stored.name}`),
    onHashing: reporter.progressOf(`reading the weights of ${stored.name}`),
    onDamage: (problem) => reporter.warn(problem),
  });
  return { folder, model };
}

export interface LocateContext extends OpenContext {
  /** May throw to prevent the download of the weights. */
  readonly checkConfig?: (config: ModelConfig) => void;
}

/** Finds a model by any of its names, and downloads it if necessary. @throws {ModelError} it cannot be found or downloaded */
export async function locate(
  name: string,
  settings: Pick<Settings, 'cacheDir' | 'revision'>,
  { environment, reporter, checkConfig = () => {} }: LocateContext,
): Promise<StoredModel> {
  const store = openStore(cacheDirOf(settings, environment), environment);
  return store.locate(name, { revision: settings.revision, ...reporter.progressOfPull(), checkConfig });
}

/** The largest int8 weight that the processor multiplies without overflow. If unknown, the one that is safe on all processors. */
function int8Range(): Int8Range {
  if (process.arch === 'arm64') return 127;
  try {
    return /^flags.*vnni/m.test(readFileSync('/proc/cpuinfo', 'utf8')) ? 127 : 63;
  } catch {
    return 63;
  }
}

/** The memory that this process may use: the machine's, or the limit of its container. */
function memoryLimit(): number {
  // 0 means unlimited.
  return Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);
}
