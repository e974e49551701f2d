import { rmSync } from 'node:fs';
import { readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { temporaryWriter } from './files.ts';
import { ensureFolder } from './folders.ts';
import { writerName, writerState } from './writer.ts';

/** How to build a folder. */
export interface FolderBuild {
  /** Fills the given folder. */
  write(building: string): Promise<void>;
  /** Whether the folder exists already and is complete. */
  isWhole(folder: string): Promise<boolean>;
}

/**
 * Builds a folder of a cache unless it is complete already. The folder is filled under another name and then renamed. So it appears
 * complete or not at all, a failure leaves nothing behind, and concurrent builds do not interfere.
 */
export async function buildFolder(folder: string, { write, isWhole }: FolderBuild): Promise<void> {
  if (await isWhole(folder)) return;
  const parent = path.dirname(folder);
  await ensureFolder(parent);
  for (const abandoned of await abandonedIn(parent)) await rm(abandoned, { recursive: true, force: true });
  await fillAndPlace(parent, write, (building) => replaceUnlessWhole(folder, { building, isWhole }));
}

/** Builds a folder that the user chose, complete or not at all. It may exist if it is empty. */
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

/** Another process may place the same folder at the same time. The first complete one stays. */
async function replaceUnlessWhole(
  folder: string,
  { building, isWhole, attemptsLeft = 10 }: Replacement,
): Promise<void> {
  try {
    // The target of a rename must be empty or missing.
    return await rename(building, folder);
  } catch (error) {
    if (await isWhole(folder)) return;
    if (attemptsLeft === 0) throw error;
  }
  await withScratch(path.dirname(folder), async (aside) => {
    await rename(folder, aside).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
    // The new folder comes first, because deleting the old one may take a while.
    await replaceUnlessWhole(folder, { building, isWhole, attemptsLeft: attemptsLeft - 1 });
  });
}

/** @param use gets the path of a folder that it may create, and that is removed afterwards */
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

/** Whether a folder is unfinished: still being filled, or abandoned. */
export function isUnfinished(folderName: string): boolean {
  return folderName.startsWith(buildPrefix);
}

const unfinished = new Set<string>();

/** Removes synchronously what this process is building, as far as possible. For a process that is about to exit. */
export function removeUnfinishedBuilds(): void {
  for (const folder of unfinished) {
    // Node's threads may still add files while the folder is being emptied.
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

/** Removes a folder. Other processes see all of it or nothing. */
export async function removeFolder(folder: string): Promise<void> {
  await withScratch(path.dirname(folder), async (aside) => {
    await rename(folder, aside);
    await rm(aside, { recursive: true });
  });
}

/** Longer than any build takes. For writers whose state is unknown. */
const abandonedAfterMs = 24 * 3_600_000;

/** Finds what dead writers left in a folder: unfinished builds, and temporary files of {@link replaceFile}. */
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
