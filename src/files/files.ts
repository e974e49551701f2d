import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { writerName } from './writer.ts';

/** Whether there is something; what a link points at counts, the link does not. */
export async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}

/** The hash of a file, as hexadecimal digits. @param hash to go on from */
export async function hashFile(file: string, hash: Hash = createHash('sha256')): Promise<string> {
  for await (const chunk of createReadStream(file, { highWaterMark: 2 ** 20 })) hash.update(chunk);
  return hash.digest('hex');
}

/**
 * Makes a file so that others see it whole: the old one, or the new one.
 * @param write makes it under another name
 * @param scratch an existing folder of the same disk for that; by default the file's own
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
