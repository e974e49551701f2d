import { chmod, realpath, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { messageOf, type Precision } from '../core/index.ts';
import { exists, type FileContent, readSmallFile } from '../files/index.ts';
import { fileContent, rememberWritten } from './file-digest.ts';
import { dataFile, type GraphFiles, graphFile } from './graph/graph-writer.ts';

/** Describes a graph in the cache: its source and the content of its files. */
export interface GraphManifest {
  readonly graphVersion: number;
  /** The model's name when the graph was built, for messages. */
  readonly model: string;
  /** The folder it was built from. */
  readonly modelFolder: string;
  readonly precision: Precision;
  readonly weights: readonly FileContent[];
  readonly files: GraphFiles;
}

const manifestFile = 'graph.json';

/** All files that a graph's folder may hold; earlier versions wrote sizes instead of a manifest. */
export const graphFolderFiles: readonly string[] = [graphFile, dataFile, manifestFile, 'sizes.json'];

const graphFiles = [graphFile, dataFile] as const;

/** Completes a graph before it is renamed to `folder`: writes the manifest, makes the files read-only and remembers their digests. */
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
    // If the digests cannot be written, every start hashes the graph.
    await rememberWritten(path.join(building, name), written).catch(() => {});
  }
}

/** More than the digests of hundreds of shards need. */
const maxManifestBytes = 2 ** 20;

/** @throws {Error} it is missing or broken */
export async function readManifest(folder: string): Promise<GraphManifest> {
  const manifest: unknown = JSON.parse(await readSmallFile(path.join(folder, manifestFile), maxManifestBytes));
  if (!isManifest(manifest)) throw new Error('it does not describe a graph');
  return manifest;
}

function isManifest(value: unknown): value is GraphManifest {
  const { graphVersion, model, modelFolder, precision, weights, files } = (value ?? {}) as Partial<
    Record<string, unknown>
  >;
  return (
    typeof graphVersion === 'number' &&
    typeof model === 'string' &&
    typeof modelFolder === 'string' &&
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
 * Compares the files of a cached graph with its manifest.
 * @returns what is wrong, on one line; undefined if nothing is; `absent` if there is no such folder
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
      if (sha256 !== expected.sha256) return `${name} has changed since it was written`;
    } catch (error) {
      return messageOf(error);
    }
  }
  return undefined;
}
