import path from 'node:path';
import { type CommandLine, cacheDirOf, type Settings } from '../config/index.ts';
import { messageOf, millions, readableSize } from '../core/index.ts';
import { exportModel, findGraphs, inspectModel, removeGraphs, weightsBytes } from '../model/index.ts';
import { type ModelStore, openStore, type StoredModel } from '../store/index.ts';
import { locate, openByName } from './open-model.ts';
import { progressOf, progressOfPull } from './progress.ts';
import { prune } from './prune.ts';

/** What an action works on. */
interface Context {
  readonly settings: Settings;
  readonly store: ModelStore;
  readonly cacheDir: string;
  /** The first argument, if the command has one. */
  readonly name: string;
  /** The second argument, if the command has two. */
  readonly target: string;
}

const actions = {
  pull,
  list,
  info,
  rm: remove,
  prune: ({ store, cacheDir, settings: { dryRun } }: Context) => prune({ store, cacheDir, isDryRun: dryRun === 'on' }),
  random,
  convert,
  export: exportTo,
} satisfies Record<string, (context: Context) => Promise<string>>;

export type ModelsAction = keyof typeof actions;

/** `weft models ACTION`. */
export async function models(action: ModelsAction, { settings, operands }: CommandLine): Promise<void> {
  const [name = '', target = ''] = operands;
  const cacheDir = cacheDirOf(settings, process.env);
  const text = await actions[action]({ settings, store: openStore(cacheDir, process.env), cacheDir, name, target });
  process.stdout.write(`${text}\n`);
}

async function pull({ store, name, settings: { revision } }: Context): Promise<string> {
  const { folder } = await store.pull(name, { revision, ...progressOfPull() });
  return `${name} is in ${folder}\nweft serve ${name}`;
}

async function list({ store }: Context): Promise<string> {
  const rows = await Promise.all((await store.list()).map(rowOf));
  return table([['name', 'weights', 'size', 'from'], ...rows]);
}

async function rowOf(model: StoredModel): Promise<string[]> {
  try {
    const { config, weights } = await inspectModel(model.folder);
    return [model.name, millions(config.numParameters), readableSize(totalBytes(weights)), originOf(model)];
  } catch (error) {
    return [model.name, '', '', messageOf(error)];
  }
}

async function info({ store, name, cacheDir, settings }: Context): Promise<string> {
  const model = await store.get(name, settings.revision);
  const { config, weights } = await inspectModel(model.folder);
  const graphs = await findGraphs(model.folder, cacheDir);
  const { architecture, numLayers, numHeads, hiddenSize, vocabSize, maxPositions, numParameters } = config;
  return table([
    ['name', model.name],
    ['from', originOf(model)],
    ['folder', path.resolve(model.folder)],
    ['network', `${architecture}, ${numLayers} layers, ${numHeads} heads, hidden size ${hiddenSize}`],
    ['weights', `${numParameters.toLocaleString('en')}, ${readableSize(weightsBytes(config, 'fp32'))} in fp32`],
    ['vocabulary', `${vocabSize.toLocaleString('en')} tokens`],
    ['context', `${maxPositions.toLocaleString('en')} tokens`],
    ...weights.map(({ path: file, bytes }) => ['file', `${path.relative(model.folder, file)}, ${readableSize(bytes)}`]),
    ...graphs.map(({ precision, folder }) => ['graph', `${precision}, ${folder}`]),
  ]);
}

async function remove({ store, name, cacheDir }: Context): Promise<string> {
  // Graphs go first: finding them takes the weights, and a model without a graph is still complete.
  const revisions = (await store.list()).filter((model) => model.name === name && model.origin !== 'embedded');
  for (const { folder } of revisions) await removeGraphs(folder, cacheDir);
  const { folder } = await store.remove(name);
  return `${name} was removed from ${folder}`;
}

async function random({ store, name, settings: { seed } }: Context): Promise<string> {
  const made = await store.makeRandom(name, { seed, onProgress: progressOf(`making ${name}`) });
  return `${made.name} is in ${made.folder}\nweft serve ${made.name}`;
}

async function convert({ name, settings }: Context): Promise<string> {
  const { model } = await openByName(name, settings, settings.precision ?? 'fp32');
  return `the graph of ${model.name} is in ${path.dirname(model.graphPath)}`;
}

async function exportTo({ name, target, settings }: Context): Promise<string> {
  const { name: found, folder } = await locate(name, settings);
  await exportModel(folder, target, progressOf(`exporting ${found}`));
  return `${found} is in ${target}`;
}

function originOf({ origin, revision }: StoredModel): string {
  switch (origin) {
    case 'embedded':
      return 'comes with Weft';
    case 'random':
      return 'random weights';
    case 'hub':
      return `Hugging Face hub, ${revision}`;
    case 'folder':
      return 'a folder';
  }
}

function totalBytes(files: readonly { readonly bytes: number }[]): number {
  return files.reduce((sum, { bytes }) => sum + bytes, 0);
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = rows.reduce<number[]>((all, row) => row.map((cell, i) => Math.max(cell.length, all[i] ?? 0)), []);
  return rows
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
