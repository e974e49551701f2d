import { rmSync } from 'node:fs';
import { readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { temporaryWriter } from './files.ts';
import { ensureFolder } from './folders.ts';
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
  await ensureFolder(parent);
  for (const abandoned of await abandonedIn(parent)) await rm(abandoned, { recursive: true, force: true });
  await fillAndPlace(parent, write, (building) => replaceUnlessWhole(folder, { building, isWhole }));
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
  await withScratch(parent, async (building) => {
    await ensureFolder(building);
    await write(building);
    await place(building);
  });
}

interface Replacement extends Pick<FolderBuild, 'isWhole'> {
  readonly building: string;
  readonly attemptsLeft?: number;
}

/** Somebody else may be placing a folder of the same name at the same time: then one that is whole stays, whoever's it is. */
async function replaceUnlessWhole(
  folder: string,
  { building, isWhole, attemptsLeft = 10 }: Replacement,
): Promise<void> {
  try {
    // A folder can only be renamed to one that is empty or not there.
    return await rename(building, folder);
  } catch (error) {
    if (await isWhole(folder)) return;
    if (attemptsLeft === 0) throw error;
  }
  await withScratch(path.dirname(folder), async (aside) => {
    await rename(folder, aside).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
    // Before what was there is deleted, which may take long.
    await replaceUnlessWhole(folder, { building, isWhole, attemptsLeft: attemptsLeft - 1 });
  });
}

/** @param use gets the name of a folder, which may be made and is removed afterwards */
async function withScratch(parent: string, use: (folder: string) => Promise<void>): Promise<void> {
  const folder = path.join(parent, `${buildPrefix}${writerName()}`);
  unfinished.add(folder);
  try {
    await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true }).catch(() => {});
    unfinished.delete(folder);
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

/** Removes a folder. Others see all of it or nothing. */
export async function removeFolder(folder: string): Promise<void> {
  await withScratch(path.dirname(folder), async (aside) => {
    await rename(folder, aside);
    await rm(aside, { recursive: true });
  });
}

/** Longer than any build takes: for writers of which nothing is known. */
const abandonedAfterMs = 24 * 3_600_000;

/** Leftovers of ended writers in a folder: unfinished builds, and temporary files of {@link replaceFile}. */
export async function abandonedIn(folder: string): Promise<string[]> {
  const abandoned: string[] = [];
  for (const entry of await readdir(folder)) {
    const writer = isUnfinished(entry) ? entry.slice(buildPrefix.length) : temporaryWriter(entry);
    const state = writer === undefined ? undefined : writerState(writer);
    if (state === undefined || state === 'alive') continue;
    const leftover = path.join(folder, entry);
    const stats = await stat(leftover).catch(() => undefined);
    if (stats === undefined) continue;
    if (state === 'dead' || Date.now() - stats.mtimeMs > abandonedAfterMs) abandoned.push(leftover);
  }
  return abandoned;
}
