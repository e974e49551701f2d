import { availableParallelism } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Contestant } from './measure.ts';

const cli = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

/** Who takes part in the race. */
export interface Racer extends Contestant {
  /** Computes in float32, and so has to give the tokens of the {@link reference}. */
  readonly isExact: boolean;
  /** Takes one request at a time: its runs are kept short. */
  readonly isSlow: boolean;
  /** Whether it runs every scenario, or only the two that everybody runs. */
  readonly runsAll: boolean;
  readonly isOnCurve: boolean;
}

/** Whose tokens and requests per second the others' are compared with. */
export const reference = 'naive';

/** Slots of a batch, as Weft has them by default. */
export const maxBatchSize = 50;

/** Weft itself, as shipped but for these flags. */
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

/** Where the model is, in the forms that the contestants load. */
export interface ModelFolders {
  /** As Weft serves it. */
  readonly folder: string;
  /** As `weft models export` writes it. */
  readonly exported: string;
  readonly cacheDir: string;
}

const slow = { isExact: true, isSlow: true, runsAll: false, isOnCurve: false };
const batching = { isExact: true, isSlow: false, runsAll: true, isOnCurve: true };
const inexact = { isExact: false, isSlow: false, runsAll: false, isOnCurve: false };

/** Who races, slowest first: the same network on the same weights. */
export function racersOf({ folder, exported, cacheDir }: ModelFolders): Racer[] {
  const own = (name: string, description: string, ...flags: readonly string[]) =>
    weft({ name, description }, folder, flags);
  return [
    {
      ...slow,
      ...script('cold', 'transformers.js, the model loaded for every request', tutorial, exported, 'cold'),
    },
    naive({ exported }),
    { ...slow, ...own('naive-engine', "Weft's engine, one request at a time", '--max-batch-size', '1') },
    {
      ...batching,
      ...script('static', "Weft's engine, batches that run to their longest", 'static-server.ts', folder, cacheDir),
    },
    { ...batching, ...own('continuous', 'Weft as shipped') },
    { ...inexact, ...own('continuous-int8', 'with --precision int8', '--precision', 'int8') },
    { ...inexact, ...own('continuous-int8-fast', 'with --precision int8-fast', '--precision', 'int8-fast') },
  ];
}

/** Who races where Weft runs on a GPU; `naive`, on the CPU, tells the tokens. @param device as `weft serve` takes it */
export function racersOn(device: string, folders: ModelFolders): Racer[] {
  // On CUDA, Weft computes in fp16.
  const isExact = !device.startsWith('cuda');
  const own = (name: string, description: string, ...flags: readonly string[]) =>
    weft({ name, description }, folders.folder, ['--device', device, ...flags]);
  return [
    naive(folders),
    { ...slow, isExact, ...own('naive-engine', "Weft's engine, one request at a time", '--max-batch-size', '1') },
    { ...batching, isExact, ...own('continuous', `Weft with --device ${device}`) },
  ];
}

const tutorial = 'naive-server.ts';

function naive({ exported }: Pick<ModelFolders, 'exported'>): Racer {
  const description = 'Fastify and a transformers.js pipeline, one request at a time';
  return { ...slow, isOnCurve: true, ...script(reference, description, tutorial, exported) };
}

/** A server of `bench/contestants`. */
function script(name: string, description: string, file: string, ...args: readonly string[]): Contestant {
  const server = fileURLToPath(new URL(`../contestants/${file}`, import.meta.url));
  const command = (port: number) => [process.execPath, '--import', 'tsx', server, String(port), ...args] as const;
  return { name, description, readyPath: '/readyz', command };
}

/** The FastAPI control: Hugging Face transformers, one request at a time. @param home of `bench/peers/setup.sh` */
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
