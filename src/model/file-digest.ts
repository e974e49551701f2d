import { createHash } from 'node:crypto';
import { mkdir, readFile, realpath, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { ModelError, messageOf } from '../core/index.ts';
import { hashFile, replaceFile } from '../files/index.ts';

/**
 * The SHA-256 of a file, remembered in the cache as long as size and times of the file are the same,
 * so that a start does not read all weights.
 * @throws {ModelError} the file cannot be read, or is a blob of a Hugging Face cache that is not what its name says
 */
export async function fileDigest(file: string, cacheDir: string): Promise<string> {
  const known = await rememberedDigest(file, cacheDir);
  if (known !== undefined) return known;
  try {
    const target = await realpath(file);
    const before = await fingerprintOf(target);
    const digest = await hashFile(target);
    expectNamedAfter(digest, target);
    // Without a place to remember it in, it is computed at every start.
    await remember(memoryOf(target, cacheDir), `${before}\n${digest}`).catch(() => {});
    return digest;
  } catch (error) {
    if (error instanceof ModelError) throw error;
    throw new ModelError(`${file} cannot be read: ${messageOf(error)}`);
  }
}

/** The same, if it is remembered: nothing is read. */
export async function rememberedDigest(file: string, cacheDir: string): Promise<string | undefined> {
  try {
    const target = await realpath(file);
    const memory = memoryOf(target, cacheDir);
    const [{ mtimeMs: rememberedAt }, { mtimeMs, ctimeMs }] = await Promise.all([stat(memory), stat(target)]);
    if (rememberedAt - Math.max(mtimeMs, ctimeMs) < restMs) return undefined;
    const [fingerprint, digest] = (await readFile(memory, 'utf8')).split('\n');
    return fingerprint === (await fingerprintOf(target)) ? digest : undefined;
  } catch {
    return undefined;
  }
}

/** A Hugging Face cache names large files by their SHA-256. */
function expectNamedAfter(digest: string, file: string): void {
  const name = path.basename(file);
  if (!/^[0-9a-f]{64}$/.test(name) || name === digest || path.basename(path.dirname(file)) !== 'blobs') return;
  throw new ModelError(`${file} is damaged: its SHA-256 is not its name; weft models pull gets it again`);
}

/** Times may be too coarse to tell a file from what it was a moment ago: only what had been at rest for so long is remembered. */
const restMs = 100;

function memoryOf(target: string, cacheDir: string): string {
  return path.join(cacheDir, 'digests', createHash('sha256').update(target).digest('hex').slice(0, 32));
}

async function remember(memory: string, text: string): Promise<void> {
  await mkdir(path.dirname(memory), { recursive: true });
  await replaceFile(memory, (temporary) => writeFile(temporary, text));
}

async function fingerprintOf(file: string): Promise<string> {
  const { size, mtimeNs, ctimeNs, ino } = await stat(file, { bigint: true });
  return [size, mtimeNs, ctimeNs, ino].join(' ');
}
