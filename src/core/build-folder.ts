import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';

/** How a folder is made. */
export interface FolderBuild {
  /** Fills the folder that it is given. */
  write(building: string): Promise<void>;
  /** Whether the folder that was asked for is there already, as good as a new one. */
  isWhole(folder: string): Promise<boolean>;
}

/**
 * Makes a folder unless it is whole already. It is filled under another name and then renamed: so it is there whole or not at all,
 * what `write` throws leaves nothing behind, and two that build it at once do not disturb each other.
 */
export async function buildFolder(folder: string, { write, isWhole }: FolderBuild): Promise<void> {
  if (await isWhole(folder)) return;
  const parent = path.dirname(folder);
  const building = path.join(parent, `${buildPrefix}${randomUUID()}`);
  const replaced = `${building}-replaced`;
  unfinished.add(building);
  try {
    await mkdir(building, { recursive: true });
    await removeAbandonedBuilds(parent, building);
    await write(building);
    await rename(building, folder).catch(async () => {
      if (await isWhole(folder)) return; // Somebody else was first.
      await rename(folder, replaced);
      await rename(building, folder);
    });
  } finally {
    unfinished.delete(building);
    for (const leftover of [building, replaced]) await rm(leftover, { recursive: true, force: true }).catch(() => {});
  }
}

const buildPrefix = 'building-';

/** Whether a folder is one that is being filled, or was never finished. */
export function isUnfinished(folderName: string): boolean {
  return folderName.startsWith(buildPrefix);
}

const unfinished = new Set<string>();

/** Removes at once what this process is building: for a process that is about to end. */
export function removeUnfinishedBuilds(): void {
  for (const folder of unfinished) rmSync(folder, { recursive: true, force: true });
}

const abandonedAfterMs = 3_600_000;

/** Removes what killed builds left behind, when no build can still be at it. @param building a build that has just begun */
async function removeAbandonedBuilds(parent: string, building: string): Promise<void> {
  const { mtimeMs: now } = await stat(building);
  for (const entry of await readdir(parent)) {
    if (!isUnfinished(entry)) continue;
    const folder = path.join(parent, entry);
    const { mtimeMs: startedAt } = await stat(folder).catch(() => ({ mtimeMs: now }));
    if (now - startedAt > abandonedAfterMs) await rm(folder, { recursive: true, force: true });
  }
}
