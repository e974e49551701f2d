import { constants as bufferLimits } from 'node:buffer';
import { constants, type Stats } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';

/**
 * Opens a file for reading, and nothing else: opening a named pipe waits for a writer, and a device may never end.
 * @throws {Error} it is no regular file, or cannot be opened
 */
export async function openRegularFile(file: string): Promise<FileHandle> {
  expectRegular(await stat(file));
  // Should it become a named pipe in between, opening it does not wait.
  const handle = await open(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    expectRegular(await handle.stat());
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** @throws {Error} it is no regular file, or not there */
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

/** The text of a small file. @throws {Error} it is larger than `maxBytes`, no regular file, or cannot be read */
export async function readSmallFile(file: string, maxBytes: number): Promise<string> {
  const handle = await openRegularFile(file);
  try {
    const { size } = await handle.stat();
    if (size > maxBytes) throw new Error(`it has ${size} bytes, and ${maxBytes} are the most that it may have`);
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

/** Node aborts the process when it is asked to read 2 GiB or more at once, and refuses to write that much. */
const maxBytesAtOnce = 2 ** 30;

/**
 * The bytes of a part of a file, all of them.
 * @param atOnce how many bytes are read at a time
 * @throws {Error} the file is shorter, or the part is larger than a buffer can be
 */
export async function readExactly(
  file: FileHandle,
  { position, length }: FileRange,
  atOnce = maxBytesAtOnce,
): Promise<Buffer> {
  const { size } = await file.stat();
  // Checked first: a length from a broken file may be beyond all memory.
  if (!(position >= 0 && length >= 0 && position + length <= size))
    throw new Error(`it ends at byte ${size}, and ${length} bytes should follow byte ${position}`);
  if (length > bufferLimits.MAX_LENGTH)
    throw new Error(`${length} bytes are to be read at once, and this Node.js can hold ${bufferLimits.MAX_LENGTH}`);
  const buffer = Buffer.alloc(length);
  for (let filled = 0; filled < length; ) {
    const { bytesRead } = await file.read(buffer, filled, Math.min(atOnce, length - filled), position + filled);
    if (bytesRead === 0) throw new Error(`it ends at byte ${position + filled}`);
    filled += bytesRead;
  }
  return buffer;
}

/** Writes all bytes at a position of a file. @param atOnce how many bytes are written at a time */
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
