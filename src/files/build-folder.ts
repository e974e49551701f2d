import { rmSync } from 'node:fs';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { writerName, writerState } from './writer.ts';

/** How a folder is made. */
export interface FolderBuild {
  /** Fills the folder that it is given. */
  write(building: string): Promise<void>;
  /** Whether the folder that was asked for is there already, as good as a new one. */
  isWhole(folder: string): Promise<boolean>;
}

/**
 * Makes a folder of a cache unless it is whole already. It is filled under another name and then renamed: so it is there whole or not
 * at all, what `write` throws leaves nothing behind, and several that build it at once do not disturb each other.
 */
export async function buildFolder(folder: string, { write, isWhole }: FolderBuild): Promise<void> {
  if (await isWhole(folder)) return;
  const parent = path.dirname(folder);
  await mkdir(parent, { recursive: true });
  await removeAbandonedBuilds(parent);
  await fillAndPlace(parent, write, (building) =>
    putInPlace(building, folder).catch(async (error: unknown) => {
      // Somebody else may have been first.
      if (!(await isWhole(folder))) throw error;
    }),
  );
}

/** Makes a folder of the user's, which may be there if it is empty: whole, or not at all. */
export async function makeFolder(folder: string, write: (building: string) => Promise<void>): Promise<void> {
  await fillAndPlace(path.dirname(folder), write, (building) => rename(building, folder));
}

async function fillAndPlace(
  parent: string,
  write: (building: string) => Promise<void>,
  place: (building: string) => Promise<void>,
): Promise<void> {
  const building = path.join(parent, `${buildPrefix}${writerName()}`);
  unfinished.add(building);
  try {
    await mkdir(building, { recursive: true });
    await write(building);
    await place(building);
  } finally {
    await rm(building, { recursive: true, force: true }).catch(() => {});
    unfinished.delete(building);
  }
}

async function putInPlace(building: string, folder: string): Promise<void> {
  try {
    await rename(building, folder);
  } catch {
    // A folder can only be renamed to one that is empty or not there.
    await rm(folder, { recursive: true, force: true });
    await rename(building, folder);
  }
}

const buildPrefix = 'building-';

/** Whether a folder is one that is being filled, or was never finished. */
export function isUnfinished(folderName: string): boolean {
  return folderName.startsWith(buildPrefix);
}

const unfinished = new Set<string>();

/** Removes at once what this process is building, as far as that is possible: for a process that is about to end. */
export function removeUnfinishedBuilds(): void {
  for (const folder of unfinished) {
    // What Node's threads are still doing may put something into the folder while it is emptied.
    for (let attempt = 0; attempt < 100 && !tryToRemove(folder); attempt++);
  }
}

function tryToRemove(folder: string): boolean {
  try {
    rmSync(folder, { recursive: true, force: true });
    return true;
  } catch {
    return false;
  }
}

/** Longer than any build takes: for writers of which nothing is known. */
const abandonedAfterMs = 24 * 3_600_000;

/** Removes what killed builds left behind. */
async function removeAbandonedBuilds(parent: string): Promise<void> {
  for (const entry of await readdir(parent)) {
    if (!isUnfinished(entry)) continue;
    const folder = path.join(parent, entry);
    const state = writerState(entry.slice(buildPrefix.length));
    const isOld = Date.now() - (await stat(folder).catch(() => ({ mtimeMs: Date.now() }))).mtimeMs > abandonedAfterMs;
    if (state === 'dead' || (state !== 'alive' && isOld)) await rm(folder, { recursive: true, force: true });
  }
}
