import { homedir, totalmem } from 'node:os';
import path from 'node:path';
import { loadHubEnvironment } from '../config/index.ts';
import { ModelStore } from '../store/index.ts';
import { embeddedModelFolder } from './package-info.ts';

/** The models of this machine, as this user sees them. @param cacheDir where Weft keeps what it can make again */
export function openStore(cacheDir: string): ModelStore {
  return new ModelStore({
    folder: path.join(cacheDir, 'models'),
    embeddedFolder: embeddedModelFolder,
    hub: loadHubEnvironment(process.env),
  });
}

/** Where this user's programs keep what they can make again. */
export function userCacheDir(): string {
  switch (process.platform) {
    case 'darwin':
      return path.join(homedir(), 'Library', 'Caches', 'weft');
    case 'win32':
      return path.join(process.env.LOCALAPPDATA ?? path.join(homedir(), 'AppData', 'Local'), 'weft', 'cache');
    default:
      return path.join(process.env.XDG_CACHE_HOME ?? path.join(homedir(), '.cache'), 'weft');
  }
}

/** What this process may use: the machine's memory, or what its container has of it. */
export function memoryLimit(): number {
  // 0 where nothing is limited.
  return Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);
}
