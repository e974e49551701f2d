import path from 'node:path';
import { flagOf, loadCommand, type Settings } from '../config/index.ts';
import { messageOf, millions, readableSize, show, UserError } from '../core/index.ts';
import { exportModel, findGraphs, inspectModel, publishedShapes, removeGraphs, weightsBytes } from '../model/index.ts';
import type { ModelStore, StoredModel } from '../store/index.ts';
import { locate, openByName, openStore, userCacheDir } from './local-models.ts';
import { expectOperands } from './operands.ts';
import { progressOf, progressOfPull } from './progress.ts';
import { prune } from './prune.ts';

/** What a command of `weft models` is given. */
interface CommandInput {
  readonly store: ModelStore;
  /** Its arguments; empty where it has fewer. */
  readonly name: string;
  readonly target: string;
  readonly cacheDir: string;
  readonly revision: string;
  readonly precision: Settings['precision'];
  readonly seed: number;
  readonly dryRun: Settings['dryRun'];
}

interface ModelsCommand {
  /** How its arguments are called. */
  readonly operands: readonly string[];
  readonly description: string;
  /** Beside `--cache-dir`, which all have. */
  readonly flags: readonly ('revision' | 'precision' | 'seed' | 'dryRun')[];
  run(input: CommandInput): Promise<string>;
}

const commands: Readonly<Record<string, ModelsCommand>> = {
  pull: {
    operands: ['OWNER/NAME'],
    description: 'fetch an OPT from the Hugging Face hub, or what has changed of it',
    flags: ['revision'],
    run: pull,
  },
  list: { operands: [], description: 'the models that are here', flags: [], run: list },
  info: { operands: ['MODEL'], description: 'what a model is made of', flags: ['revision'], run: info },
  rm: {
    operands: ['MODEL'],
    description: 'remove a model, all its revisions and their graphs',
    flags: [],
    run: remove,
  },
  prune: {
    operands: [],
    description: 'remove graphs that no model on this machine uses, and leftovers of killed processes',
    flags: ['dryRun'],
    run: prune,
  },
  random: {
    operands: [publishedShapes().join('|')],
    description: 'make a model of that shape with random weights, to measure with',
    flags: ['seed'],
    run: random,
  },
  convert: {
    operands: ['MODEL'],
    description: 'build the graph of a model now rather than at its first start',
    flags: ['revision', 'precision'],
    run: convert,
  },
  export: {
    operands: ['MODEL', 'FOLDER'],
    description: 'write a copy as ONNX for transformers.js, Optimum and others',
    flags: ['revision'],
    run: exportTo,
  },
};

/** The commands with what they do, for `--help`. */
export function renderModelsCommands(): string {
  const lines = Object.entries(commands).map(([name, { operands, description, flags }]) => {
    const usage = ['weft models', name, ...operands, ...flags.map((key) => `[${flagOf(key)} …]`)].join(' ');
    return `  ${usage}\n      ${description}`;
  });
  return lines.join('\n');
}

/** `weft models`. */
export async function models([name = '', ...args]: readonly string[]): Promise<void> {
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined) {
    const problem = name === '' ? 'lacks its command' : `has no ${show(name)}`;
    throw new UserError(`weft models ${problem}: there are ${Object.keys(commands).join(', ')}`);
  }
  const { settings, operands } = loadCommand(['cacheDir', ...command.flags], args, process.env);
  expectOperands(`weft models ${name}`, operands, command.operands);
  const [operand = '', target = ''] = operands;
  const cacheDir = settings.cacheDir || userCacheDir();
  const input = { ...settings, store: openStore(cacheDir), name: operand, target, cacheDir };
  process.stdout.write(`${await command.run(input)}\n`);
}

async function pull({ store, name, revision }: CommandInput): Promise<string> {
  const { folder } = await store.pull(name, { revision, ...progressOfPull() });
  return `${name} is in ${folder}\nweft serve ${name}`;
}

async function list({ store }: CommandInput): Promise<string> {
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

async function info({ store, name, revision, cacheDir }: CommandInput): Promise<string> {
  const model = await store.get(name, revision);
  const { config, weights } = await inspectModel(model.folder);
  const graphs = await findGraphs(model.folder, cacheDir);
  const { architecture, numLayers, numHeads, hiddenSize, vocabSize, maxPositions, numParameters } = config;
  return table([
    ['name', model.name],
    ['from', originOf(model)],
    ['folder', path.resolve(model.folder)],
    ['network', `${architecture}, ${numLayers} layers, ${numHeads} heads, ${hiddenSize} wide`],
    ['weights', `${numParameters.toLocaleString('en')}, ${readableSize(weightsBytes(config, 'fp32'))} in fp32`],
    ['vocabulary', `${vocabSize.toLocaleString('en')} tokens`],
    ['context', `${maxPositions.toLocaleString('en')} tokens`],
    ...weights.map(({ path: file, bytes }) => ['file', `${path.relative(model.folder, file)}, ${readableSize(bytes)}`]),
    ...graphs.map(({ precision, folder }) => ['graph', `${precision}, ${folder}`]),
  ]);
}

async function remove({ store, name, cacheDir }: CommandInput): Promise<string> {
  // Graphs first: the weights say which are theirs, and without one a model is as whole as before.
  const revisions = (await store.list()).filter((model) => model.name === name && model.origin !== 'embedded');
  for (const { folder } of revisions) await removeGraphs(folder, cacheDir);
  const { folder } = await store.remove(name);
  return `${name} is gone from ${folder}`;
}

async function random({ store, name, seed }: CommandInput): Promise<string> {
  const made = await store.makeRandom(name, { seed, onProgress: progressOf(`making ${name}`) });
  return `${made.name} is in ${made.folder}\nweft serve ${made.name}`;
}

async function convert({ name, precision, ...settings }: CommandInput): Promise<string> {
  const { model } = await openByName(name, settings, precision === 'auto' ? 'fp32' : precision);
  return `the graph of ${model.name} is in ${path.dirname(model.graphPath)}`;
}

async function exportTo({ name, target, ...settings }: CommandInput): Promise<string> {
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
