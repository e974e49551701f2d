import { createHash } from 'node:crypto';
import { readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { ModelError, messageOf } from '../core/index.ts';
import { buildFolder } from '../files/index.ts';
import { fileDigest, rememberedDigest } from './file-digest.ts';
import { dataFile, graphFile } from './graph/graph-writer.ts';
import { InPlaceIo } from './graph/in-place-io.ts';
import { graphVersion } from './graph/opt-graph.ts';
import { type GraphSource, writeGraph } from './write-graph.ts';

/** What a graph is told apart by. */
type GraphContent = Omit<GraphSource, 'onProgress'>;

/**
 * The path of the model's graph, built if the cache does not have it yet.
 * A graph is named by the content it is made of, and is there whole or not at all.
 * @throws {ModelError} the weights are broken, or the cache cannot be written
 */
export async function cachedGraph(cacheDir: string, source: GraphSource): Promise<string> {
  const digests: string[] = [];
  // One after the other: when one fails, nothing goes on behind the caller's back.
  for (const file of source.files.paths) digests.push(await fileDigest(file, cacheDir));
  const folder = graphFolder(cacheDir, source, digests);
  try {
    await buildFolder(folder, { write: (building) => fill(building, source), isWhole });
  } catch (error) {
    if (error instanceof ModelError) throw error;
    throw new ModelError(
      `the graph cannot be built in ${cacheDir}: ${messageOf(error)}; choose another folder with --cache-dir`,
    );
  }
  return path.join(folder, graphFile);
}

/** The folder of the model's graph, if it is built; only what is remembered of the weights is asked: none of them are read. */
export async function findCachedGraph(cacheDir: string, content: GraphContent): Promise<string | undefined> {
  const digests = await Promise.all(content.files.paths.map((file) => rememberedDigest(file, cacheDir)));
  if (digests.includes(undefined)) return undefined;
  const folder = graphFolder(cacheDir, content, digests);
  return (await isWhole(folder)) ? folder : undefined;
}

function graphFolder(
  cacheDir: string,
  { config, precision, int8Range }: GraphContent,
  digests: readonly (string | undefined)[],
): string {
  const kind = precision.startsWith('int8') ? { precision, int8Range } : { precision };
  const hash = createHash('sha256').update(JSON.stringify({ graphVersion, config, ...kind, digests }));
  return path.join(cacheDir, `opt-${hash.digest('hex').slice(0, 32)}`);
}

async function fill(folder: string, source: GraphSource): Promise<void> {
  await writeGraph(folder, source, InPlaceIo);
  await writeFile(path.join(folder, sizesFile), JSON.stringify(await sizesIn(folder)));
}

/** Says how large the files of a finished graph are, so that one that was damaged later is built anew. */
const sizesFile = 'sizes.json';
const graphFiles = [graphFile, dataFile];

async function sizesIn(folder: string): Promise<number[]> {
  return Promise.all(graphFiles.map(async (file) => (await stat(path.join(folder, file))).size));
}

async function isWhole(folder: string): Promise<boolean> {
  try {
    return (await readFile(path.join(folder, sizesFile), 'utf8')) === JSON.stringify(await sizesIn(folder));
  } catch {
    return false;
  }
}
