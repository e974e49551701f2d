import type { Dirent } from 'node:fs';
import { lstat, readdir, realpath, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { ModelError, messageOf } from '../core/index.ts';
import { abandonedIn, removeFolder } from '../files/index.ts';
import { digestsFolder, fileContent, type Memory, memories, rememberedContent } from './file-digest.ts';
import { graphVersion } from './graph/opt-graph.ts';
import { possibleGraphs } from './graph-inventory.ts';
import { type GraphManifest, graphFolderFiles, readManifest } from './graph-manifest.ts';

/** Something in the cache that nothing can use. */
export interface Removable {
  readonly kind: 'graph' | 'unfinished' | 'digest';
  readonly path: string;
  readonly bytes: number;
  /** What it is and why nothing needs it, for people. */
  readonly description: string;
}

interface Caches {
  readonly cacheDir: string;
  /** The models that are here; those whose weights were opened with this cache are found without being listed. */
  readonly modelFolders: readonly string[];
  /** Other folders in which this cache has things built. */
  readonly buildFolders: readonly string[];
}

/**
 * What can be removed from the cache: graphs that no model on this machine leads to, or that another version has built; what killed
 * processes were building; and digests of files that are gone. Files that Weft has not written are left alone.
 */
export async function findRemovable({ cacheDir, modelFolders, buildFolders }: Caches): Promise<Removable[]> {
  const remembered = await memories(cacheDir);
  const known = remembered.flatMap(({ memory }) => memory?.modelFolder ?? []);
  const graphs = await unusedGraphs(cacheDir, [...new Set([...modelFolders, ...known])]);
  const gone = await Promise.all(graphs.map(({ path: folder }) => realpath(folder)));
  const digests: Removable[] = [];
  for (const { path: file, memory } of remembered) {
    if (memory !== undefined && !(await isGone(memory, gone))) continue;
    const description = memory === undefined ? 'of an earlier version' : `of ${memory.file}, which is gone`;
    digests.push({ kind: 'digest', path: file, bytes: await bytesIn(file), description });
  }
  const unfinished: Removable[] = [];
  for (const folder of [cacheDir, digestsFolder(cacheDir), ...buildFolders]) {
    for (const leftover of await abandonedIn(folder).catch(() => [])) {
      const description = 'was being written by a process that has ended';
      unfinished.push({ kind: 'unfinished', path: leftover, bytes: await bytesIn(leftover), description });
    }
  }
  return [...graphs, ...unfinished, ...digests];
}

/** Removes it; a server that has loaded a graph keeps it until it ends. @throws {ModelError} it cannot be removed */
export async function remove({ kind, path: removed }: Removable): Promise<void> {
  try {
    if (kind === 'graph') await removeFolder(removed);
    else await rm(removed, { recursive: true, force: true });
  } catch (error) {
    throw new ModelError(`${removed} cannot be removed: ${messageOf(error)}`);
  }
}

async function unusedGraphs(cacheDir: string, modelFolders: readonly string[]): Promise<Removable[]> {
  const unused: Removable[] = [];
  const current = new Map<string, GraphManifest>();
  for (const folder of await graphFolders(cacheDir)) {
    const manifest = await readManifest(folder).catch(() => undefined);
    if (manifest?.graphVersion === graphVersion) current.set(folder, manifest);
    else unused.push(await removableGraph(folder, manifest, 'another version of Weft built it'));
  }
  const used = await usedGraphs(cacheDir, modelFolders, [...current.values()]);
  for (const [folder, manifest] of current) {
    if (!used.has(folder)) unused.push(await removableGraph(folder, manifest, 'no model on this machine uses it'));
  }
  return unused;
}

async function removableGraph(folder: string, manifest: GraphManifest | undefined, reason: string): Promise<Removable> {
  const name = manifest === undefined ? 'graph' : `graph of ${manifest.model} in ${manifest.precision}`;
  return { kind: 'graph', path: folder, bytes: await bytesIn(folder), description: `${name}: ${reason}` };
}

/** Folders that hold what a graph's folder holds, and nothing else. */
async function graphFolders(cacheDir: string): Promise<string[]> {
  const entries = await readdir(cacheDir, { withFileTypes: true }).catch((): Dirent[] => []);
  const named = entries.filter((entry) => entry.isDirectory() && /^opt-[0-9a-f]{32}$/.test(entry.name));
  const folders: string[] = [];
  for (const { name } of named) {
    const files = await readdir(path.join(cacheDir, name)).catch(() => ['unreadable']);
    if (files.every((file) => graphFolderFiles.includes(file))) folders.push(path.join(cacheDir, name));
  }
  return folders.sort();
}

/** The graphs that a start of one of the models would ask for. */
async function usedGraphs(
  cacheDir: string,
  modelFolders: readonly string[],
  graphs: readonly GraphManifest[],
): Promise<Set<string>> {
  const sizes = new Set(graphs.flatMap(({ weights }) => weights.map(({ bytes }) => bytes)));
  const used = new Set<string>();
  for (const modelFolder of modelFolders) {
    const contentOf = async (file: string) => {
      const remembered = await rememberedContent(file, cacheDir);
      if (remembered !== undefined) return remembered;
      // Weights of a size that no graph was built from need not be hashed.
      return sizes.has((await stat(file)).size) ? fileContent(file, { cacheDir, modelFolder }) : undefined;
    };
    // What cannot be opened uses nothing.
    const possible = await possibleGraphs(modelFolder, cacheDir, contentOf).catch(() => []);
    for (const { folder } of possible) used.add(folder);
  }
  return used;
}

/** Whether a file does not exist, or is not to. */
async function isGone({ file }: Memory, removedFolders: readonly string[]): Promise<boolean> {
  if (removedFolders.includes(path.dirname(file))) return true;
  return stat(file).then(
    () => false,
    ({ code }: NodeJS.ErrnoException) => code === 'ENOENT' || code === 'ENOTDIR',
  );
}

async function bytesIn(file: string): Promise<number> {
  const stats = await lstat(file).catch(() => undefined);
  if (!stats?.isDirectory()) return stats?.size ?? 0;
  const sizes = (await readdir(file).catch(() => [])).map((name) => bytesIn(path.join(file, name)));
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}
