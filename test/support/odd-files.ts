import { execFileSync } from 'node:child_process';
import { mkdir, open, symlink } from 'node:fs/promises';

/** Things that are not regular files, as messages name them, and how to create them. Opening or reading some of them would block forever. */
export const oddFiles: readonly (readonly [kind: string, make: (file: string) => Promise<void>])[] = [
  ['a directory', async (file) => void (await mkdir(file))],
  ['a named pipe', async (file) => void execFileSync('mkfifo', [file])],
  ['a device', (file) => symlink('/dev/zero', file)],
];

/** Creates a file that is larger than the disk space it takes. */
export async function sparseFile(file: string, bytes: number, beginning: Uint8Array = new Uint8Array()): Promise<void> {
  const handle = await open(file, 'w');
  try {
    await handle.write(beginning);
    await handle.truncate(bytes);
  } finally {
    await handle.close();
  }
}
