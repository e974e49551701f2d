import { homedir } from 'node:os';
import path from 'node:path';

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
