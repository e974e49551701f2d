import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { ModelFolders } from './contestants.ts';

const cli = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

async function weft(...args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [cli, ...args]);
  return stdout;
}

/**
 * Provides a model in the formats that the contestants load, until `use` resolves.
 * @param wanted its name as for `weft serve` (a random model is made if it does not exist), and the precisions of its graphs
 */
export async function withModel(
  { name, precisions }: { readonly name: string; readonly precisions: readonly string[] },
  onProgress: (line: string) => void,
  use: (folders: ModelFolders) => Promise<void>,
): Promise<void> {
  const shape = /^(opt-.+)-random$/.exec(name)?.[1];
  if (shape !== undefined) {
    onProgress(`making ${name} unless it exists`);
    await weft('models', 'random', shape);
  }
  onProgress(`building the graphs of ${name} and exporting it`);
  for (const precision of precisions) await weft('models', 'convert', name, '--precision', precision);
  const folder = /^folder +(.+)$/m.exec(await weft('models', 'info', name))?.[1];
  if (folder === undefined) throw new Error(`${name} has no folder`);
  const scratch = await mkdtemp(path.join(tmpdir(), 'weft-race-'));
  try {
    const exported = path.join(scratch, 'exported');
    await weft('models', 'export', name, exported);
    await use({ folder, exported, cacheDir: path.join(scratch, 'cache') });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
