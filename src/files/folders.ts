import { mkdir, stat } from 'node:fs/promises';
import path from 'node:path';

/**
 * Creates a folder and its missing parents.
 * `mkdir` with `recursive` loops forever if an existing parent returns ENOENT, as /proc does (Node.js 20).
 * @throws {NodeJS.ErrnoException} the folder cannot be created
 */
export async function ensureFolder(folder: string): Promise<void> {
  let failure = await tryToCreate(folder);
  const parent = path.dirname(folder);
  if (failure?.code === 'ENOENT' && parent !== folder) {
    await ensureFolder(parent);
    failure = await tryToCreate(folder);
  }
  if (failure !== undefined) throw failure;
}

/** @returns why the folder could not be created; undefined if it exists now */
async function tryToCreate(folder: string): Promise<NodeJS.ErrnoException | undefined> {
  try {
    await mkdir(folder);
    return undefined;
  } catch (error) {
    const stats = await stat(folder).catch(() => undefined);
    return stats?.isDirectory() ? undefined : (error as NodeJS.ErrnoException);
  }
}
