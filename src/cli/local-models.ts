import { readFileSync } from 'node:fs';
import { homedir, totalmem } from 'node:os';
import path from 'node:path';
import { loadHubEnvironment, type Settings } from '../config/index.ts';
import { expectMemoryFor, type Int8Range, type ModelConfig, openModel, type Precision } from '../model/index.ts';
import { ModelStore, type StoredModel } from '../store/index.ts';
import { embeddedModelFolder } from './package-info.ts';
import { progressOf, progressOfPull } from './progress.ts';

/** The models of this machine, as this user sees them. @param cacheDir where Weft keeps what it can make again */
export function openStore(cacheDir: string): ModelStore {
  return new ModelStore({
    folder: randomModelsFolder(cacheDir),
    embeddedFolder: embeddedModelFolder,
    hub: loadHubEnvironment(process.env),
  });
}

/** Where random models are made. */
export function randomModelsFolder(cacheDir: string): string {
  return path.join(cacheDir, 'models');
}

/** A model by any of its names, fetched and its graph built where they are not here yet. @throws {ModelError} it cannot be had or served */
export async function openByName(
  name: string,
  settings: Pick<Settings, 'cacheDir' | 'revision'>,
  precision: Precision,
) {
  // What is in half precision is for devices: of what they hold, the host sees no more than a part at a time.
  const memoryBytes = precision === 'fp16' ? Number.POSITIVE_INFINITY : memoryLimit();
  const checkConfig = (config: ModelConfig) => expectMemoryFor(config, { precision, memoryBytes });
  const { folder, ...stored } = await locate(name, settings, checkConfig);
  const model = await openModel(folder, settings.cacheDir || userCacheDir(), {
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

/** The model of a folder or a name, pulled if it is not here. @param checkConfig throws before its weights are fetched */
export async function locate(
  name: string,
  { cacheDir, revision }: Pick<Settings, 'cacheDir' | 'revision'>,
  checkConfig: (config: ModelConfig) => void = () => {},
): Promise<StoredModel> {
  return openStore(cacheDir || userCacheDir()).locate(name, { revision, ...progressOfPull(), checkConfig });
}

/** What the processor multiplies without overflow; where that cannot be told, what all can. */
function int8Range(): Int8Range {
  if (process.arch === 'arm64') return 127;
  try {
    return /^flags.*vnni/m.test(readFileSync('/proc/cpuinfo', 'utf8')) ? 127 : 63;
  } catch {
    return 63;
  }
}

/** Where this user's programs keep what they can make again. */
export function userCacheDir(): string {
  switch (process.platform) {
    case 'darwin':
      return path.join(homedir(), 'Library', 'Caches', 'weft');
    case 'win32':
      return path.join(process.env.LOCALAPPDATA || path.join(homedir(), 'AppData', 'Local'), 'weft', 'cache');
    default:
      return path.join(process.env.XDG_CACHE_HOME || path.join(homedir(), '.cache'), 'weft');
  }
}

/** What this process may use: the machine's memory, or what its container has of it. */
function memoryLimit(): number {
  // 0 where nothing is limited.
  return Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);
}
