import { homedir } from 'node:os';
import path from 'node:path';
import type { Environment } from './environment.ts';

/** The absolute path of a folder. `~` is the user's home folder. */
export function inHome(folder: string): string {
  return path.resolve(folder.replace(/^~(?=$|[/\\])/, homedir()));
}

/** The folder for everything that Weft can rebuild: the one that was chosen, or the user's. {@link defaultCacheDir} documents it. */
export function cacheDirOf({ cacheDir }: { readonly cacheDir: string | undefined }, environment: Environment): string {
  if (cacheDir !== undefined) return cacheDir;
  switch (process.platform) {
    case 'darwin':
      return inHome('~/Library/Caches/weft');
    case 'win32':
      return path.join(environment.LOCALAPPDATA || inHome('~/AppData/Local'), 'weft', 'cache');
    default:
      return path.join(environment.XDG_CACHE_HOME || inHome('~/.cache'), 'weft');
  }
}

export const defaultCacheDir = "weft in the user's cache folder, on Linux ~/.cache/weft";
