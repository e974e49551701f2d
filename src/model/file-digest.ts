import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readFile, realpath, rename, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { ModelError, messageOf } from '../core/index.ts';

/**
 * The SHA-256 of a file, remembered in the cache as long as size and times of the file are the same,
 * so that a start does not read all weights.
 * @throws {ModelError} the file cannot be read, or is a blob of a Hugging Face cache that is not what its name says
 */
export async function fileDigest(file: string, cacheDir: string): Promise<string> {
  try {
    const target = await realpath(file);
    const memory = path.join(cacheDir, 'digests', createHash('sha256').update(target).digest('hex').slice(0, 32));
    const known = await recall(memory, target);
    if (known !== undefined) return known;
    const digest = await sha256(target);
    expectNamedAfter(digest, target);
    // Without a place to remember it in, it is computed at every start.
    await remember(memory, target, digest).catch(() => {});
    return digest;
  } catch (error) {
    if (error instanceof ModelError) throw error;
    throw new ModelError(`${file} cannot be read: ${messageOf(error)}`);
  }
}

async function sha256(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file, { highWaterMark: 2 ** 20 })) hash.update(chunk);
  return hash.digest('hex');
}

/** A Hugging Face cache names large files by their SHA-256. */
function expectNamedAfter(digest: string, file: string): void {
  const name = path.basename(file);
  if (!/^[0-9a-f]{64}$/.test(name) || name === digest || path.basename(path.dirname(file)) !== 'blobs') return;
  throw new ModelError(`${file} is damaged: its SHA-256 is not its name; weft models pull gets it again`);
}

/** Times are too coarse to tell a file from what it was a moment ago: only what had been at rest for so long is remembered. */
const restMs = 2000;

async function recall(memory: string, file: string): Promise<string | undefined> {
  const { mtimeMs, ctimeMs } = await stat(file);
  try {
    const { mtimeMs: rememberedAt } = await stat(memory);
    if (rememberedAt - Math.max(mtimeMs, ctimeMs) < restMs) return undefined;
    const [fingerprint, digest] = (await readFile(memory, 'utf8')).split('\n');
    return fingerprint === (await fingerprintOf(file)) ? digest : undefined;
  } catch {
    return undefined;
  }
}

async function remember(memory: string, file: string, digest: string): Promise<void> {
  await mkdir(path.dirname(memory), { recursive: true });
  const temporary = `${memory}.${randomUUID()}`;
  await writeFile(temporary, `${await fingerprintOf(file)}\n${digest}`);
  await rename(temporary, memory);
}

async function fingerprintOf(file: string): Promise<string> {
  const { size, mtimeNs, ctimeNs, ino } = await stat(file, { bigint: true });
  return [size, mtimeNs, ctimeNs, ino].join(' ');
}
