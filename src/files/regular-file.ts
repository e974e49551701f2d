import { constants as bufferLimits } from 'node:buffer';
import { constants, type Stats } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';

/**
 * Opens a regular file for reading. Opening a named pipe would wait for a writer, and reading a device may never end.
 * @throws {Error} the path is not a regular file, or cannot be opened
 */
export async function openRegularFile(file: string): Promise<FileHandle> {
  expectRegular(await stat(file));
  // O_NONBLOCK, in case the file has become a named pipe in the meantime.
  const handle = await open(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    expectRegular(await handle.stat());
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** @throws {Error} the path is not a regular file, or does not exist */
export async function expectRegularFile(file: string): Promise<void> {
  expectRegular(await stat(file));
}

function expectRegular(stats: Stats): void {
  if (!stats.isFile()) throw new Error(`it is ${kindOf(stats)}, not a regular file`);
}

function kindOf(stats: Stats): string {
  if (stats.isDirectory()) return 'a directory';
  if (stats.isFIFO()) return 'a named pipe';
  return stats.isSocket() ? 'a socket' : 'a device';
}

/** Reads a small file as UTF-8. @throws {Error} the file is larger than `maxBytes`, is not a regular file, or cannot be read */
export async function readSmallFile(file: string, maxBytes: number): Promise<string> {
  const handle = await openRegularFile(file);
  try {
    const { size } = await handle.stat();
    if (size > maxBytes) {
      throw new Error(
        `it has ${size.toLocaleString('en')} bytes; at most ${maxBytes.toLocaleString('en')} are allowed`,
      );
    }
    return (await readExactly(handle, { position: 0, length: size })).toString('utf8');
  } finally {
    await handle.close();
  }
}

/** A part of a file, in bytes. */
export interface FileRange {
  readonly position: number;
  readonly length: number;
}

/** Reading 2 GiB or more at once aborts the Node.js process, and writing that much fails. */
const maxBytesAtOnce = 2 ** 30;

/**
 * Reads all bytes of a range.
 * @param atOnce the largest single read, in bytes
 * @throws {Error} the file is too short, or the range is larger than a buffer can be
 */
export async function readExactly(
  file: FileHandle,
  { position, length }: FileRange,
  atOnce = maxBytesAtOnce,
): Promise<Buffer> {
  const { size } = await file.stat();
  // Checked first, because a length from a broken file may exceed all memory.
  if (!(position >= 0 && length >= 0 && position + length <= size))
    throw new Error(`it ends at byte ${size}, and ${length} bytes should follow byte ${position}`);
  if (length > bufferLimits.MAX_LENGTH)
    throw new Error(`${length} bytes do not fit into a buffer, which can hold ${bufferLimits.MAX_LENGTH}`);
  const buffer = Buffer.alloc(length);
  for (let filled = 0; filled < length; ) {
    const { bytesRead } = await file.read(buffer, filled, Math.min(atOnce, length - filled), position + filled);
    if (bytesRead === 0) throw new Error(`it ends at byte ${position + filled}`);
    filled += bytesRead;
  }
  return buffer;
}

/** Writes all bytes to a position of a file. @param atOnce the largest single write, in bytes */
export async function writeFully(
  file: FileHandle,
  { bytes, position }: { readonly bytes: Uint8Array; readonly position: number },
  atOnce = maxBytesAtOnce,
): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    const length = Math.min(atOnce, bytes.length - written);
    written += (await file.write(bytes, written, length, position + written)).bytesWritten;
  }
}
