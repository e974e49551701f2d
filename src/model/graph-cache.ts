import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { ModelError, messageOf } from '../core/index.ts';
import { buildFolder, type FileContent } from '../files/index.ts';
import { fileContent } from './file-digest.ts';
import { graphFile } from './graph/graph-writer.ts';
import { InPlaceIo } from './graph/in-place-io.ts';
import { findDamage, sealGraph } from './graph-manifest.ts';
import type { ModelConfig } from './model-config.ts';
import { type GraphSource, graphVersion, writeGraph } from './write-graph.ts';

/** The model that a graph is requested for. */
export interface GraphRequest extends GraphSource {
  readonly modelName: string;
  readonly modelFolder: string;
  /** Called with byte counts while weights are hashed. */
  readonly onHashing: (done: number, total: number) => void;
  /** Called with one line if the cached graph is damaged, before it is rebuilt. */
  readonly onDamage: (problem: string) => void;
}

/**
 * The path of the model's graph. Builds it unless the cache has an undamaged one.
 * A graph is named after the content it is made from and appears whole or not at all.
 * @throws {ModelError} the weights are broken, or the cache cannot be written
 */
export async function cachedGraph(cacheDir: string, request: GraphRequest): Promise<string> {
  const weights = await weightsContents(cacheDir, request);
  const folder = graphFolder(cacheDir, request, weights);
  const graphPath = path.join(folder, graphFile);
  const damage = await findDamage(folder, cacheDir);
  if (damage === undefined) return graphPath;
  if (damage !== 'absent') request.onDamage(`the graph in ${folder} is damaged and will be rebuilt: ${damage}`);
  try {
    await buildFolder(folder, {
      write: (building) => fill(building, { folder, cacheDir, weights, request }),
      isWhole: async (candidate) => (await findDamage(candidate, cacheDir)) === undefined,
    });
  } catch (error) {
    if (error instanceof ModelError) throw error;
    throw new ModelError(`the graph cannot be built in ${cacheDir}: ${messageOf(error)}; choose another cache folder`, {
      settings: ['cacheDir'],
    });
  }
  return graphPath;
}

/** Reads one file at a time, so that nothing is still running after a failure. */
async function weightsContents(cacheDir: string, request: GraphRequest): Promise<FileContent[]> {
  const { files, description, modelFolder, onHashing } = request;
  const sizes = await Promise.all(
    files.paths.map(async (file) => (await stat(file).catch(() => undefined))?.size ?? 0),
  );
  const total = sizes.reduce((sum, size) => sum + size, 0);
  let reported: number | undefined;
  const report = (bytes: number) => {
    if (bytes !== reported) onHashing(bytes, total);
    reported = bytes;
  };
  const contents: FileContent[] = [];
  let done = 0;
  for (const file of files.paths) {
    const content = await fileContent(file, {
      cacheDir,
      modelFolder: path.resolve(modelFolder),
      maxBytes: maxWeightsFileBytes(description.config),
      onProgress: (bytes) => report(done + bytes),
    });
    done += content.bytes;
    contents.push(content);
  }
  // Files whose digests are remembered report nothing, and they may come last.
  if (reported !== undefined) report(total);
  return contents;
}

/** An upper bound for one weights file: all weights in float32, twice (for duplicates), and 256 MiB for headers. */
function maxWeightsFileBytes({ numParameters }: ModelConfig): number {
  return 2 * 4 * numParameters + 2 ** 28;
}

interface Filling {
  readonly folder: string;
  readonly cacheDir: string;
  readonly weights: readonly FileContent[];
  readonly request: GraphRequest;
}

async function fill(building: string, { folder, cacheDir, weights, request }: Filling): Promise<void> {
  const { modelName: model, precision } = request;
  const modelFolder = path.resolve(request.modelFolder);
  const files = await writeGraph(building, request, InPlaceIo);
  await sealGraph(building, { graphVersion, model, modelFolder, precision, weights, files }, { folder, cacheDir });
}

/** What identifies a graph, besides its weights. */
type GraphKind = Pick<GraphSource, 'description' | 'precision' | 'int8Range'>;

/** The folder that holds, or would hold, the graph of these weights. */
export function graphFolder(
  cacheDir: string,
  { description: { architecture, network }, precision, int8Range }: GraphKind,
  weights: readonly FileContent[],
): string {
  const kind = precision.startsWith('int8') ? { precision, int8Range } : { precision };
  const digests = weights.map(({ sha256 }) => sha256);
  const identity = { graphVersion, config: network.identity, ...kind, digests };
  const hash = createHash('sha256').update(JSON.stringify(identity)).digest('hex');
  return path.join(cacheDir, `${architecture.modelType}-${hash.slice(0, 32)}`);
}
