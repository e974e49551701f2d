import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { access, mkdir, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { ModelError, messageOf } from '../core/index.ts';
import { GraphWriter, graphFile } from './graph/graph-writer.ts';
import { graphVersion, type OnProgress, writeOptGraph } from './graph/opt-graph.ts';
import type { OptConfig } from './opt-config.ts';
import { OptWeights } from './opt-weights.ts';
import type { WeightsFiles } from './weights/index.ts';

/**
 * The path of the model's graph, built if the cache does not have it yet.
 * A graph is named by the content it is made of, is built in a folder of its own and then renamed: it is there whole or not at all,
 * and two that build it at once do not disturb each other.
 * @throws {ModelError} the weights are broken, or the cache cannot be written
 */
export async function cachedGraph(
  cacheDir: string,
  config: OptConfig,
  files: WeightsFiles,
  onProgress: OnProgress,
): Promise<string> {
  const folder = path.join(cacheDir, `opt-${await contentHash(config, files.paths)}`);
  const graph = path.join(folder, graphFile);
  if (await exists(graph)) return graph;
  await removeAbandonedBuilds(cacheDir);
  const building = path.join(cacheDir, `${buildPrefix}${process.pid}-${randomUUID()}`);
  try {
    await mkdir(building, { recursive: true });
    await build(building, config, files, onProgress);
    await rename(building, folder).catch(async (error: unknown) => {
      // Somebody else was first.
      if (!(await exists(graph))) throw error;
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

async function build(folder: string, config: OptConfig, files: WeightsFiles, onProgress: OnProgress): Promise<void> {
  const weights = await files.open();
  try {
    const graph = await GraphWriter.create(folder);
    try {
      await writeOptGraph(graph, config, new OptWeights(weights), onProgress);
    } finally {
      await graph.close();
    }
  } finally {
    await weights.close();
  }
}

async function contentHash(config: OptConfig, paths: readonly string[]): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify({ graphVersion, config }));
  for (const file of paths) {
    try {
      await pipeline(createReadStream(file, { highWaterMark: 2 ** 20 }), hash, { end: false });
    } catch (error) {
      throw new ModelError(`${file} cannot be read: ${messageOf(error)}`);
    }
  }
  return hash.digest('hex').slice(0, 32);
}

const buildPrefix = 'building-';

/** Removes what killed builds left behind. */
async function removeAbandonedBuilds(cacheDir: string): Promise<void> {
  const entries = await readdir(cacheDir).catch(() => []);
  for (const entry of entries) {
    const pid = entry.startsWith(buildPrefix) ? Number.parseInt(entry.slice(buildPrefix.length), 10) : Number.NaN;
    if (pid > 0 && !isAlive(pid))
      await rm(path.join(cacheDir, entry), { recursive: true, force: true }).catch(() => {});
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
