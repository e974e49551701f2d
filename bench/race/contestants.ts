import { availableParallelism } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { openAiDialect } from '../../src/load/index.ts';
import type { Contestant } from './measure.ts';

const cli = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

/** A contestant of the race. */
export interface Racer extends Contestant {
  /** Computes in float32, and so must give the tokens of the {@link reference}. */
  readonly isExact: boolean;
  /** Serves one request at a time; its runs are kept short. */
  readonly isSlow: boolean;
  /** Whether it runs every scenario, or only the two that all contestants run. */
  readonly runsAll: boolean;
  readonly isOnCurve: boolean;
}

/** The contestant that the others are compared with, in tokens and requests per second. */
export const reference = 'naive';

/** Weft's default number of slots. */
export const maxBatchSize = 50;

/** Weft as shipped, except for these flags. */
export function weft(
  { name, description }: Pick<Contestant, 'name' | 'description'>,
  model: string,
  flags: readonly string[] = [],
): Contestant {
  return {
    name,
    description,
    readyPath: '/readyz',
    command: (port) => [
      process.execPath,
      cli,
      'serve',
      model,
      ...['--port', String(port)],
      ...['--log-level', 'error'],
      ...flags,
    ],
  };
}

/** The folders of the model, in the formats that the contestants load. */
export interface ModelFolders {
  /** The folder that Weft serves. */
  readonly folder: string;
  /** Written by `weft models export`. */
  readonly exported: string;
  readonly cacheDir: string;
}

const slow = { isExact: true, isSlow: true, runsAll: false, isOnCurve: false };
const batching = { isExact: true, isSlow: false, runsAll: true, isOnCurve: true };
const inexact = { isExact: false, isSlow: false, runsAll: false, isOnCurve: false };

/** Through OpenAI's dialect. Weft answers to the name `tgi`, whatever its model. */
const overOpenAi = {
  dialect: openAiDialect('tgi'),
  checkedDialect: openAiDialect('tgi', { return_token_ids: true }),
  runsAll: false,
  isOnCurve: false,
};

/** All contestants, slowest first: the same network with the same weights. */
export function racersOf({ folder, exported, cacheDir }: ModelFolders): Racer[] {
  const own = (name: string, description: string, ...flags: readonly string[]) =>
    weft({ name, description }, folder, flags);
  return [
    {
      ...slow,
      ...script('cold', 'transformers.js, model loaded for every request', tutorial, exported, 'cold'),
    },
    naive({ exported }),
    { ...slow, ...own('naive-engine', "Weft's engine, one request at a time", '--max-batch-size', '1') },
    {
      ...batching,
      ...script('static', "Weft's engine, static batches", 'static-server.ts', folder, cacheDir),
    },
    { ...batching, ...own('continuous', 'Weft as shipped') },
    { ...batching, ...overOpenAi, ...own('continuous-openai', 'Weft as shipped, through `/v1/completions`') },
    { ...inexact, ...own('continuous-int8', 'with --precision int8', '--precision', 'int8') },
    { ...inexact, ...own('continuous-int8-fast', 'with --precision int8-fast', '--precision', 'int8-fast') },
  ];
}

/** The contestants when Weft runs on a GPU; `naive`, on the CPU, is the reference for tokens. @param device as for `weft serve` */
export function racersOn(device: string, folders: ModelFolders): Racer[] {
  // On CUDA, Weft computes in fp16.
  const isExact = !device.startsWith('cuda');
  const own = (name: string, description: string, ...flags: readonly string[]) =>
    weft({ name, description }, folders.folder, ['--device', device, ...flags]);
  return [
    naive(folders),
    { ...slow, isExact, ...own('naive-engine', "Weft's engine, one request at a time", '--max-batch-size', '1') },
    { ...batching, isExact, ...own('continuous', `Weft with --device ${device}`) },
    { ...batching, isExact, ...overOpenAi, ...own('continuous-openai', 'the same through `/v1/completions`') },
  ];
}

const tutorial = 'naive-server.ts';

function naive({ exported }: Pick<ModelFolders, 'exported'>): Racer {
  const description = 'Fastify and a transformers.js pipeline, one request at a time';
  return { ...slow, isOnCurve: true, ...script(reference, description, tutorial, exported) };
}

/** A server from `bench/contestants`. */
function script(name: string, description: string, file: string, ...args: readonly string[]): Contestant {
  const server = fileURLToPath(new URL(`../contestants/${file}`, import.meta.url));
  const command = (port: number) => [process.execPath, '--import', 'tsx', server, String(port), ...args] as const;
  return { name, description, readyPath: '/readyz', command };
}

/** The FastAPI control: Hugging Face transformers, one request at a time. @param home folder made by `bench/peers/setup.sh` */
export function fastApiControl(home: string, folder: string): Racer {
  const server = fileURLToPath(new URL('../peers/static_server.py', import.meta.url));
  return {
    ...slow,
    name: 'fastapi',
    description: 'FastAPI and Hugging Face transformers, one request at a time',
    readyPath: '/readyz',
    command: (port) => [
      path.join(home, 'hf/bin/python'),
      server,
      ...['--port', String(port), '--engine', 'transformers', '--model', folder, '--max-batch-size', '1'],
      ...['--threads', String(availableParallelism())],
    ],
  };
}
