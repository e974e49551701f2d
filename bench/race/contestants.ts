import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Contestant } from './measure.ts';

const cli = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

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

/** Who races, slowest first. The first four and `continuous` compute the same network in float32 on the same weights. */
export function contestantsOf({ folder, exported, cacheDir }: ModelFolders): Contestant[] {
  const script = (file: string, ...args: readonly string[]): Contestant['command'] => {
    const server = fileURLToPath(new URL(`../contestants/${file}`, import.meta.url));
    return (port) => [process.execPath, '--import', 'tsx', server, String(port), ...args];
  };
  const isReady = { readyPath: '/readyz' };
  return [
    {
      name: 'cold',
      description: 'transformers.js, the model loaded for every request, one at a time',
      command: script('naive-server.ts', exported, 'cold'),
      ...isReady,
    },
    {
      name: 'naive',
      description: 'Fastify and a transformers.js pipeline, one request at a time',
      command: script('naive-server.ts', exported),
      ...isReady,
    },
    weft({ name: 'naive-engine', description: "Weft's engine, one request at a time" }, folder, [
      '--max-batch-size',
      '1',
    ]),
    {
      name: 'static',
      description: "Weft's engine, up to 50 requests or 100 ms, computed until the longest ends",
      command: script('static-server.ts', folder, cacheDir),
      ...isReady,
    },
    weft({ name: 'continuous', description: 'Weft as shipped' }, folder),
    weft({ name: 'continuous-int8', description: 'Weft with --precision int8' }, folder, ['--precision', 'int8']),
    weft({ name: 'continuous-int8-fast', description: 'Weft with --precision int8-fast' }, folder, [
      '--precision',
      'int8-fast',
    ]),
  ];
}

/** The FastAPI control: Hugging Face transformers, one request at a time. @param home of `bench/peers/setup.sh` */
export function fastApiControl(home: string, folder: string): Contestant {
  const server = fileURLToPath(new URL('../peers/static_server.py', import.meta.url));
  return {
    name: 'fastapi',
    description: 'FastAPI and Hugging Face transformers, one request at a time',
    readyPath: '/readyz',
    command: (port) => [
      path.join(home, 'hf/bin/python'),
      server,
      ...['--port', String(port), '--engine', 'transformers', '--model', folder, '--max-batch-size', '1'],
    ],
  };
}
