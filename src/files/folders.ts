import { mkdir, stat } from 'node:fs/promises';
import path from 'node:path';

/**
 * Makes a folder and its missing parents.
 * `mkdir` with `recursive` loops for ever when an existing parent answers ENOENT, as /proc does (Node.js 20).
 * @throws {NodeJS.ErrnoException} it cannot be made
 */
export async function ensureFolder(folder: string): Promise<void> {
  let failure = await tryToMake(folder);
  const parent = path.dirname(folder);
  if (failure?.code === 'ENOENT' && parent !== folder) {
    await ensureFolder(parent);
    failure = await tryToMake(folder);
  }
  if (failure !== undefined) throw failure;
}

/** @returns why it could not be made; undefined if the folder is there */
async function tryToMake(folder: string): Promise<NodeJS.ErrnoException | undefined> {
  try {
    await mkdir(folder);
    return undefined;
  } catch (error) {
    const stats = await stat(folder).catch(() => undefined);
    return stats?.isDirectory() ? undefined : (error as NodeJS.ErrnoException);
  }
}
