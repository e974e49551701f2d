import { execFileSync } from 'node:child_process';
import { mkdir, open, symlink } from 'node:fs/promises';

/** What may stand where a file is expected, with what it is called in messages. Opening some of them without care never returns. */
export const oddFiles: readonly (readonly [kind: string, make: (file: string) => Promise<void>])[] = [
  ['a directory', async (file) => void (await mkdir(file))],
  ['a named pipe', async (file) => void execFileSync('mkfifo', [file])],
  ['a device', (file) => symlink('/dev/zero', file)],
];

/** Makes a file that is much larger than what it takes on the disk. */
export async function sparseFile(file: string, bytes: number, beginning: Uint8Array = new Uint8Array()): Promise<void> {
  const handle = await open(file, 'w');
  try {
    await handle.write(beginning);
    await handle.truncate(bytes);
  } finally {
    await handle.close();
  }
}
