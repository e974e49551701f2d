import { createHash, type Hash } from 'node:crypto';
import { rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { openRegularFile } from './regular-file.ts';
import { writerName } from './writer.ts';

/** Whether a path exists. A link counts only if its target exists. */
export async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}

/** Identifies the content of a file. */
export interface FileContent {
  readonly bytes: number;
  readonly sha256: string;
}

export interface HashOptions {
  /** The hash to update. Defaults to a new SHA-256. */
  readonly hash?: Hash;
  /** Called with the number of bytes read so far. */
  readonly onProgress?: (bytes: number) => void;
}

/** The hash of a file, in hexadecimal. @throws {Error} the file is not a regular file, or cannot be read */
export async function hashFile(file: string, options: HashOptions = {}): Promise<string> {
  const { hash = createHash('sha256'), onProgress = () => {} } = options;
  const handle = await openRegularFile(file);
  const { size } = await handle.stat();
  let bytes = 0;
  for await (const chunk of handle.createReadStream({ highWaterMark: 2 ** 20 })) {
    hash.update(chunk);
    bytes += chunk.length;
    onProgress(bytes);
    // A file that keeps growing would never end.
    if (bytes >= size) break;
  }
  return hash.digest('hex');
}

/**
 * Replaces a file atomically: others see the old file or the new one.
 * @param write writes the new file under another name
 * @param scratch an existing folder on the same disk for the temporary file. Defaults to the folder of the file.
 */
export async function replaceFile(
  file: string,
  write: (temporary: string) => Promise<void>,
  scratch = path.dirname(file),
): Promise<void> {
  const temporary = path.join(scratch, `.${path.basename(file)}.${writerName()}`);
  try {
    await write(temporary);
    await rename(temporary, file);
  } finally {
    await rm(temporary, { force: true });
  }
}

/** The writer that the name of a temporary file of {@link replaceFile} contains; undefined for other names. */
export function temporaryWriter(fileName: string): string | undefined {
  return /^\..+\.([^.]+)$/.exec(fileName)?.[1];
}
