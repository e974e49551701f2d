import { type CommandLine, capacityKeys, capacityServerKeys, type SettingKey, serveKeys } from '../config/index.ts';
import type { ModelsAction } from './models.ts';
import type { StopSignals } from './stop-signals.ts';

/** One command of `weft`. Dispatch, checks and `--help` follow from it. */
export interface Command {
  /** One word, or two for the commands of a group. */
  readonly name: string;
  /** The arguments in order. Optional ones are in brackets. */
  readonly operands: readonly string[];
  /** One line for the overview. */
  readonly summary: string;
  /** Further sentences for the help of the command. */
  readonly details?: string;
  readonly example: string;
  readonly keys: readonly SettingKey[];
  run(line: CommandLine, signals: StopSignals): Promise<void>;
}

const measuringKeys = ['revision', 'device', 'threads', 'spinning', 'cacheDir'] as const;
const modelDetails =
  'MODEL is a folder, the name of a local model, or OWNER/NAME on the Hugging Face hub. Without it, Weft takes the small model that it comes with.';

// Each command loads its own code: engine and server take longer to load than most other commands take to run.
export const commands: readonly Command[] = [
  {
    name: 'serve',
    operands: ['[MODEL]'],
    summary: 'Serve a model over HTTP.',
    details: `${modelDetails} A model from the hub is downloaded the first time. The server runs until it gets SIGINT (Ctrl-C) or SIGTERM; then it finishes the requests that it has accepted.`,
    example: 'weft serve facebook/opt-125m --port 9000 --precision int8',
    keys: serveKeys,
    run: async (line, signals) => (await import('./serve.ts')).serve(line, signals),
  },
  {
    name: 'models pull',
    operands: ['OWNER/NAME'],
    summary: 'Download a model from the Hugging Face hub.',
    details: 'If the model is on this machine already, only what has changed is downloaded.',
    example: 'weft models pull facebook/opt-350m',
    keys: ['revision', 'cacheDir'],
    run: (line) => models('pull', line),
  },
  {
    name: 'models list',
    operands: [],
    summary: 'List the models on this machine.',
    example: 'weft models list',
    keys: ['cacheDir'],
    run: (line) => models('list', line),
  },
  {
    name: 'models info',
    operands: ['MODEL'],
    summary: 'Show the size, the files and the built graphs of a model.',
    example: 'weft models info facebook/opt-125m',
    keys: ['revision', 'cacheDir'],
    run: (line) => models('info', line),
  },
  {
    name: 'models rm',
    operands: ['MODEL'],
    summary: 'Remove a model, all its revisions and their graphs.',
    example: 'weft models rm facebook/opt-350m',
    keys: ['cacheDir'],
    run: (line) => models('rm', line),
  },
  {
    name: 'models prune',
    operands: [],
    summary: 'Remove graphs that no model uses, and leftovers of killed processes.',
    example: 'weft models prune --dry-run on',
    keys: ['dryRun', 'cacheDir'],
    run: (line) => models('prune', line),
  },
  {
    name: 'models random',
    operands: ['SHAPE'],
    summary: 'Make a model with random weights, for measurements.',
    details: 'SHAPE is the size of a published model: opt-125m, opt-350m or opt-1.3b.',
    example: 'weft models random opt-125m',
    keys: ['seed', 'cacheDir'],
    run: (line) => models('random', line),
  },
  {
    name: 'models convert',
    operands: ['MODEL'],
    summary: 'Build the graph of a model now rather than at its first start.',
    details: 'The graph is the ONNX file that Weft runs. It is kept in the cache folder.',
    example: 'weft models convert facebook/opt-125m --precision int8',
    keys: ['revision', 'precision', 'cacheDir'],
    run: (line) => models('convert', line),
  },
  {
    name: 'models export',
    operands: ['MODEL', 'FOLDER'],
    summary: 'Write a model as ONNX for other programs.',
    details: 'The folder has the layout that transformers.js and Optimum expect.',
    example: 'weft models export facebook/opt-125m ./opt-125m-onnx',
    keys: ['revision', 'cacheDir'],
    run: (line) => models('export', line),
  },
  {
    name: 'bench engine',
    operands: ['[MODEL]'],
    summary: 'Measure how fast this machine runs a model, in every precision.',
    details: `Prints a table of the times of prefill and decode steps, without a server around them. ${modelDetails}`,
    example: 'weft bench engine facebook/opt-125m --threads 4',
    keys: measuringKeys,
    run: async (line) => (await import('./bench-engine.ts')).benchEngine(line),
  },
  {
    name: 'bench quality',
    operands: ['TEXT_FILE', '[MODEL]'],
    summary: 'Measure how much quality each precision costs.',
    details: `Prints how well the model predicts a text in every precision (loss and perplexity), and how often it agrees with fp32 on the most likely next token. ${modelDetails}`,
    example: 'weft bench quality stories.txt facebook/opt-125m',
    keys: measuringKeys,
    run: async (line) => (await import('./bench-quality.ts')).benchQuality(line),
  },
  {
    name: 'bench capacity',
    operands: ['[MODEL]'],
    summary: 'Find the highest request rate at which a server keeps an SLO.',
    details: `Starts a server, sends it requests at rising rates, and prints the highest rate that keeps the service level objective. With --target-rps it also prints how many such servers that rate needs. ${modelDetails}`,
    example: "weft bench capacity --slo 'p95<500ms,errors<0.1%' --target-rps 1000",
    keys: [...capacityKeys, ...capacityServerKeys],
    run: async (line) => (await import('./bench-capacity.ts')).benchCapacity(line),
  },
];

async function models(action: ModelsAction, line: CommandLine): Promise<void> {
  const room = await import('./models.ts');
  await room.models(action, line);
}
