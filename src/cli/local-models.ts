import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import path from 'node:path';
import { cacheDirOf, loadHubEnvironment, type Settings } from '../config/index.ts';
import type { Precision } from '../core/index.ts';
import { expectMemoryFor, type Int8Range, type ModelConfig, openModel } from '../model/index.ts';
import { ModelStore, type StoredModel } from '../store/index.ts';
import { embeddedModelFolder } from './package-info.ts';
import { progressOf, progressOfPull } from './progress.ts';

/** The models on this machine, as this user sees them. */
export function openStore(cacheDir: string): ModelStore {
  return new ModelStore({
    folder: randomModelsFolder(cacheDir),
    embeddedFolder: embeddedModelFolder,
    hub: loadHubEnvironment(process.env),
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
  precision: Precision,
) {
  // Half precision is for GPUs, whose weights pass through host memory in parts.
  const memoryBytes = precision === 'fp16' ? Number.POSITIVE_INFINITY : memoryLimit();
  const checkConfig = (config: ModelConfig) => expectMemoryFor(config, { precision, memoryBytes });
  const { folder, ...stored } = await locate(name, settings, checkConfig);
  const model = await openModel(folder, cacheDirOf(settings, process.env), {
    name: stored.name,
    precision,
    int8Range: int8Range(),
    memoryBytes,
    onProgress: progressOf(`building the graph of ${stored.name}`),
    onHashing: progressOf(`reading the weights of ${stored.name}`),
    onDamage: (problem) => process.stderr.write(`${problem}\n`),
  });
  return { folder, model };
}

/** Finds a model by any of its names, and downloads it if necessary. @param checkConfig may throw to prevent the download of the weights */
export async function locate(
  name: string,
  settings: Pick<Settings, 'cacheDir' | 'revision'>,
  checkConfig: (config: ModelConfig) => void = () => {},
): Promise<StoredModel> {
  const { revision } = settings;
  return openStore(cacheDirOf(settings, process.env)).locate(name, { revision, ...progressOfPull(), checkConfig });
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
