import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { ModelError, messageOf } from '../core/index.ts';
import { dataFile, GraphWriter, graphFile } from './graph/graph-writer.ts';
import { graphVersion, type OnProgress, writeOptGraph } from './graph/opt-graph.ts';
import type { OptConfig } from './opt-config.ts';
import { OptWeights } from './opt-weights.ts';
import type { WeightsFiles } from './weights/index.ts';

/** What a graph is built from. */
interface GraphSource {
  readonly config: OptConfig;
  readonly files: WeightsFiles;
  readonly onProgress: OnProgress;
}

/**
 * The path of the model's graph, built if the cache does not have it yet.
 * A graph is named by the content it is made of, is built in a folder of its own and then renamed: it is there whole or not at all,
 * and two that build it at once do not disturb each other.
 * @throws {ModelError} the weights are broken, or the cache cannot be written
 */
export async function cachedGraph(cacheDir: string, source: GraphSource): Promise<string> {
  const folder = path.join(cacheDir, `opt-${await contentHash(source)}`);
  const graph = path.join(folder, graphFile);
  if (await isWhole(folder)) return graph;
  const building = path.join(cacheDir, `${buildPrefix}${randomUUID()}`);
  try {
    await mkdir(building, { recursive: true });
    await removeAbandonedBuilds(cacheDir, building);
    await build(building, source);
    await rename(building, folder).catch(async () => {
      if (await isWhole(folder)) return; // Somebody else was first.
      await rm(folder, { recursive: true, force: true });
      await rename(building, folder);
    });
  } catch (error) {
    if (error instanceof ModelError) throw error;
    throw new ModelError(
      `the graph cannot be built in ${cacheDir}: ${messageOf(error)}; choose another folder with --cache-dir`,
    );
  } finally {
    await rm(building, { recursive: true, force: true }).catch(() => {});
  }
  return graph;
}

async function build(folder: string, { config, files, onProgress }: GraphSource): Promise<void> {
  const weights = await files.open();
  try {
    const graph = await GraphWriter.create(folder);
    try {
      await writeOptGraph(graph, { config, weights: new OptWeights(weights), onProgress });
    } finally {
      await graph.close();
    }
    await writeFile(path.join(folder, sizesFile), JSON.stringify(await sizesIn(folder)));
  } finally {
    await weights.close();
  }
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

async function contentHash({ config, files }: GraphSource): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify({ graphVersion, config }));
  for (const file of files.paths) {
    try {
      await pipeline(createReadStream(file, { highWaterMark: 2 ** 20 }), hash, { end: false });
    } catch (error) {
      throw new ModelError(`${file} cannot be read: ${messageOf(error)}`);
    }
  }
  return hash.digest('hex').slice(0, 32);
}

const buildPrefix = 'building-';
const abandonedAfterMs = 3_600_000;

/** Removes what killed builds left behind, when no build can still be at it. @param building a build that has just begun */
async function removeAbandonedBuilds(cacheDir: string, building: string): Promise<void> {
  const { mtimeMs: now } = await stat(building);
  for (const entry of await readdir(cacheDir)) {
    if (!entry.startsWith(buildPrefix)) continue;
    const folder = path.join(cacheDir, entry);
    const { mtimeMs: startedAt } = await stat(folder).catch(() => ({ mtimeMs: now }));
    if (now - startedAt > abandonedAfterMs) await rm(folder, { recursive: true, force: true });
  }
}
