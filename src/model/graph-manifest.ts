import { chmod, realpath, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { messageOf } from '../core/index.ts';
import { exists, type FileContent, readSmallFile } from '../files/index.ts';
import { fileContent, rememberWritten } from './file-digest.ts';
import { dataFile, type GraphFiles, graphFile } from './graph/graph-writer.ts';
import type { Precision } from './graph/linear-layers.ts';

/** Says what a graph in the cache was built from, and what its files hold. */
export interface GraphManifest {
  readonly graphVersion: number;
  /** What the model was called when the graph was built: for people. */
  readonly model: string;
  readonly precision: Precision;
  readonly weights: readonly FileContent[];
  readonly files: GraphFiles;
}

const manifestFile = 'graph.json';

/** All that a graph's folder holds; up to 0.1.0 there were sizes instead of a manifest. */
export const graphFolderFiles: readonly string[] = [graphFile, dataFile, manifestFile, 'sizes.json'];

const graphFiles = [graphFile, dataFile] as const;

/**
 * Completes a graph that is about to be renamed to `folder`: its manifest, its digests, and nobody is to write to it any more.
 */
export async function sealGraph(
  building: string,
  manifest: GraphManifest,
  { folder, cacheDir }: { readonly folder: string; readonly cacheDir: string },
): Promise<void> {
  await writeFile(path.join(building, manifestFile), JSON.stringify(manifest), { flush: true });
  for (const name of [...graphFiles, manifestFile]) await chmod(path.join(building, name), 0o444);
  const place = path.join(await realpath(path.dirname(folder)), path.basename(folder));
  for (const name of graphFiles) {
    const { sha256 } = manifest.files[name];
    const written = { as: path.join(place, name), sha256, cacheDir };
    // Without a place to remember it in, it is computed at every start.
    await rememberWritten(path.join(building, name), written).catch(() => {});
  }
}

/** Far above what the digests of hundreds of shards take. */
const maxManifestBytes = 2 ** 20;

/** @throws {Error} there is none, or it is broken */
export async function readManifest(folder: string): Promise<GraphManifest> {
  const manifest: unknown = JSON.parse(await readSmallFile(path.join(folder, manifestFile), maxManifestBytes));
  if (!isManifest(manifest)) throw new Error('it does not describe a graph');
  return manifest;
}

function isManifest(value: unknown): value is GraphManifest {
  const { graphVersion, model, precision, weights, files } = (value ?? {}) as Partial<Record<string, unknown>>;
  return (
    typeof graphVersion === 'number' &&
    typeof model === 'string' &&
    typeof precision === 'string' &&
    Array.isArray(weights) &&
    weights.every(isContent) &&
    graphFiles.every((name) => isContent((files as Partial<GraphFiles> | undefined)?.[name]))
  );
}

function isContent(value: unknown): value is FileContent {
  const content = value as Partial<FileContent> | null | undefined;
  return typeof content?.bytes === 'number' && typeof content.sha256 === 'string';
}

/**
 * What is wrong with a graph of the cache: its files are not what its manifest says.
 * @returns undefined if nothing is; `absent` if there is no such folder
 */
export async function findDamage(folder: string, cacheDir: string): Promise<string | undefined> {
  if (!(await exists(folder))) return 'absent';
  let manifest: GraphManifest;
  try {
    manifest = await readManifest(folder);
  } catch (error) {
    return `${manifestFile}: ${messageOf(error)}`;
  }
  for (const name of graphFiles) {
    const expected = manifest.files[name];
    try {
      const file = path.join(folder, name);
      const { size } = await stat(file);
      if (size !== expected.bytes) return `${name} has ${size} of ${expected.bytes} bytes`;
      const { sha256 } = await fileContent(file, { cacheDir });
      if (sha256 !== expected.sha256) return `${name} does not hold what was written to it`;
    } catch (error) {
      return messageOf(error);
    }
  }
  return undefined;
}
