import { rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { flagOf, loadCommand, type SettingKey } from '../config/index.ts';
import { messageOf, readableSize, show, UserError } from '../core/index.ts';
import { findGraph, inspectModel, numParameters, openModel, weightsBytes } from '../model/index.ts';
import { type ModelStore, publishedShapes, type StoredModel } from '../store/index.ts';
import { memoryLimit, openStore, userCacheDir } from './local-models.ts';
import { progressOf, progressOfPull } from './progress.ts';

/** What a command of `weft models` is given. */
interface CommandInput {
  readonly store: ModelStore;
  /** Its argument. */
  readonly name: string;
  readonly cacheDir: string;
  readonly revision: string;
  readonly seed: number;
}

interface ModelsCommand {
  /** How its argument is called; undefined if it has none. */
  readonly argument?: string;
  readonly description: string;
  /** Beside `--cache-dir`, which all have. */
  readonly flags: readonly SettingKey[];
  run(input: CommandInput): Promise<string>;
}

const commands: Readonly<Record<string, ModelsCommand>> = {
  pull: {
    argument: 'OWNER/NAME',
    description: 'fetch an OPT from the Hugging Face hub, or what has changed of it',
    flags: ['revision'],
    run: pull,
  },
  list: { description: 'the models that are here', flags: [], run: list },
  info: { argument: 'MODEL', description: 'what a model is made of', flags: ['revision'], run: info },
  rm: { argument: 'MODEL', description: 'remove a model, all its revisions and their graphs', flags: [], run: remove },
  random: {
    argument: publishedShapes.join('|'),
    description: 'make a model of that shape with random weights, to measure with',
    flags: ['seed'],
    run: random,
  },
  convert: {
    argument: 'MODEL',
    description: 'build the graph of a model now rather than at its first start',
    flags: ['revision'],
    run: convert,
  },
};

/** The commands with what they do, for `--help`. */
export function renderModelsCommands(): string {
  const lines = Object.entries(commands).map(([name, { argument = '', description, flags }]) => {
    const usage = ['weft models', name, argument, ...flags.map((key) => `[${flagOf(key)} …]`)]
      .filter(Boolean)
      .join(' ');
    return `  ${usage}\n      ${description}`;
  });
  return lines.join('\n');
}

/** `weft models`. */
export async function models([name = '', ...args]: readonly string[]): Promise<void> {
  const command = commands[name];
  if (command === undefined) {
    throw new UserError(
      `weft models ${name === '' ? 'lacks its command' : `has no ${show(name)}`}: there are ${Object.keys(commands).join(', ')}`,
    );
  }
  const { settings, operands, flags } = loadCommand(['cacheDir', 'revision', 'seed'], args, process.env);
  for (const flag of flags) {
    if (flag !== 'cacheDir' && !command.flags.includes(flag))
      throw new UserError(`weft models ${name} has no ${flagOf(flag)}`);
  }
  const numOperands = command.argument === undefined ? 0 : 1;
  if (operands.length > numOperands)
    throw new UserError(`weft models ${name} does not know what to do with ${show(operands[numOperands])}`);
  const [operand = ''] = operands;
  if (operand === '' && command.argument !== undefined)
    throw new UserError(`weft models ${name} lacks its ${command.argument}`);
  const cacheDir = settings.cacheDir || userCacheDir();
  const { revision, seed } = settings;
  process.stdout.write(
    `${await command.run({ store: openStore(cacheDir), name: operand, cacheDir, revision, seed })}\n`,
  );
}

async function pull({ store, name, revision }: CommandInput): Promise<string> {
  const { folder } = await store.pull(name, { revision, onProgress: progressOfPull() });
  return `${name} is in ${folder}\nweft serve ${name}`;
}

async function list({ store }: CommandInput): Promise<string> {
  const rows = await Promise.all((await store.list()).map(rowOf));
  return table([['name', 'weights', 'size', 'from'], ...rows]);
}

async function rowOf(model: StoredModel): Promise<string[]> {
  try {
    const { config, weights } = await inspectModel(model.folder);
    return [model.name, millions(numParameters(config)), readableSize(totalBytes(weights)), originOf(model)];
  } catch (error) {
    return [model.name, '', '', messageOf(error)];
  }
}

async function info({ store, name, revision, cacheDir }: CommandInput): Promise<string> {
  const model = await store.get(name, revision);
  const { config, weights } = await inspectModel(model.folder);
  const graph = await findGraph(model.folder, cacheDir);
  const { numLayers, numHeads, hiddenSize, ffnDim, vocabSize, maxPositions } = config;
  return table([
    ['name', model.name],
    ['from', originOf(model)],
    ['folder', path.resolve(model.folder)],
    ['network', `OPT, ${numLayers} layers, ${numHeads} heads, ${hiddenSize} wide, feed-forward ${ffnDim}`],
    ['weights', `${numParameters(config).toLocaleString('en')}, ${readableSize(weightsBytes(config))} in fp32`],
    ['vocabulary', `${vocabSize.toLocaleString('en')} tokens`],
    ['context', `${maxPositions.toLocaleString('en')} tokens`],
    ...weights.map(({ path: file, bytes }) => ['file', `${path.relative(model.folder, file)}, ${readableSize(bytes)}`]),
    ['graph', graph ?? 'not built yet: the first start builds it, or weft models convert'],
  ]);
}

async function remove({ store, name, cacheDir }: CommandInput): Promise<string> {
  const revisions = (await store.list()).filter((model) => model.name === name);
  const graphs = await Promise.all(revisions.map(({ folder }) => findGraph(folder, cacheDir).catch(() => undefined)));
  const { folder } = await store.remove(name);
  for (const graph of graphs) {
    if (graph !== undefined) await rm(graph, { recursive: true, force: true });
  }
  return `${name} is gone from ${folder}`;
}

async function random({ store, name, seed }: CommandInput): Promise<string> {
  const shape = publishedShapes.find((candidate) => candidate === name);
  if (shape === undefined)
    throw new UserError(`there is no shape ${show(name)}: there are ${publishedShapes.join(', ')}`);
  const made = await store.makeRandom(shape, { seed, onProgress: progressOf(`making ${name}`) });
  return `${made.name} is in ${made.folder}\nweft serve ${made.name}`;
}

async function convert({ store, name, revision, cacheDir }: CommandInput): Promise<string> {
  const { folder } = await store.locate(name, { revision, onProgress: progressOfPull() });
  const onProgress = progressOf(`building the graph of ${name}`);
  const { graphPath } = await openModel(folder, cacheDir, { memoryBytes: memoryLimit(), onProgress });
  const files = await Promise.all(
    [graphPath, `${graphPath}.data`].map(async (file) => ({ bytes: (await stat(file)).size })),
  );
  return `the graph of ${name} is in ${path.dirname(graphPath)}, ${readableSize(totalBytes(files))}`;
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

function millions(count: number): string {
  return `${(count / 1e6).toFixed(1)} million`;
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
