import type { Dirent } from 'node:fs';
import { lstat, readdir, realpath, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { ModelError, messageOf } from '../core/index.ts';
import { abandonedIn, removeFolder } from '../files/index.ts';
import { modelTypes } from './architectures/registry.ts';
import { digestsFolder, fileContent, type Memory, memories, rememberedContent } from './file-digest.ts';
import { possibleGraphs } from './graph-inventory.ts';
import { type GraphManifest, graphFolderFiles, readManifest } from './graph-manifest.ts';
import { graphVersion } from './write-graph.ts';

/** An unused part of the cache. */
export interface Removable {
  readonly kind: 'graph' | 'unfinished' | 'digest';
  readonly path: string;
  readonly bytes: number;
  /** What it is and why it is unused, for messages. */
  readonly description: string;
}

interface Caches {
  readonly cacheDir: string;
  /** Known models. Models that were opened with this cache need not be listed. */
  readonly modelFolders: readonly string[];
  /** Subfolders of the cache in which other things are built. */
  readonly buildFolders: readonly string[];
}

/**
 * The unused parts of the cache: graphs that no model on this machine uses or that another version built, leftovers of killed
 * processes, and digests of files that no longer exist. Files that Weft did not write are left alone.
 */
export async function findRemovable({ cacheDir, modelFolders, buildFolders }: Caches): Promise<Removable[]> {
  const remembered = await memories(cacheDir);
  const known = remembered.flatMap(({ memory }) => memory?.modelFolder ?? []);
  const graphs = await unusedGraphs(cacheDir, [...modelFolders, ...known]);
  const gone = await Promise.all(graphs.map(({ path: folder }) => realpath(folder).catch(() => folder)));
  const digests: Removable[] = [];
  for (const { path: file, memory } of remembered) {
    if (memory !== undefined && !(await isGone(memory, gone))) continue;
    const description = memory === undefined ? 'of an earlier version' : `of ${memory.file}, which no longer exists`;
    digests.push({ kind: 'digest', path: file, bytes: await bytesIn(file), description });
  }
  const unfinished: Removable[] = [];
  for (const folder of [cacheDir, digestsFolder(cacheDir), ...buildFolders]) {
    for (const leftover of await abandonedIn(folder).catch(() => [])) {
      const description = 'left behind by a process that has ended';
      unfinished.push({ kind: 'unfinished', path: leftover, bytes: await bytesIn(leftover), description });
    }
  }
  return [...graphs, ...unfinished, ...digests];
}

/** Removes a part of the cache. A running server keeps the graph it has mapped. @throws {ModelError} it cannot be removed */
export async function removeFromCache({ kind, path: removed }: Removable): Promise<void> {
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
  const sources = [...current.values()].map(({ modelFolder }) => modelFolder);
  const folders = [...new Set([...modelFolders, ...sources])];
  const used = await usedGraphs(cacheDir, folders, [...current.values()]);
  for (const [folder, manifest] of current) {
    if (!used.has(folder)) unused.push(await removableGraph(folder, manifest, 'no model on this machine uses it'));
  }
  return unused;
}

async function removableGraph(folder: string, manifest: GraphManifest | undefined, reason: string): Promise<Removable> {
  const name = manifest === undefined ? 'graph' : `graph of ${manifest.model} in ${manifest.precision}`;
  return { kind: 'graph', path: folder, bytes: await bytesIn(folder), description: `${name}: ${reason}` };
}

/** Folders that look like a graph and hold no other files. */
async function graphFolders(cacheDir: string): Promise<string[]> {
  const entries = await readdir(cacheDir, { withFileTypes: true }).catch((): Dirent[] => []);
  const named = entries.filter((entry) => entry.isDirectory() && isGraphName(entry.name));
  const folders: string[] = [];
  for (const { name } of named) {
    const files = await readdir(path.join(cacheDir, name)).catch(() => ['unreadable']);
    if (files.every((file) => graphFolderFiles.includes(file))) folders.push(path.join(cacheDir, name));
  }
  return folders.sort();
}

function isGraphName(folder: string): boolean {
  const [, modelType = '', hash = ''] = /^(.+)-([^-]+)$/.exec(folder) ?? [];
  return /^[0-9a-f]{32}$/.test(hash) && modelTypes().includes(modelType);
}

/** The folders of all graphs that one of the models could use. */
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
      // No graph was built from weights of another size, so they need no hashing.
      return sizes.has((await stat(file)).size) ? fileContent(file, { cacheDir, modelFolder }) : undefined;
    };
    // A folder that is not a model uses no graph.
    const possible = await possibleGraphs(modelFolder, cacheDir, contentOf).catch(() => []);
    for (const { folder } of possible) used.add(folder);
  }
  return used;
}

/** Whether a file does not exist, or will be removed with its folder. */
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
