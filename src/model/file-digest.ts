import { createHash } from 'node:crypto';
import { readdir, realpath, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { ModelError, messageOf, readableSize } from '../core/index.ts';
import { ensureFolder, type FileContent, hashFile, readSmallFile, replaceFile } from '../files/index.ts';

export interface DigestOptions {
  /** Where digests are remembered. */
  readonly cacheDir: string;
  /** The model that the file belongs to; undefined for a file of the cache itself. */
  readonly modelFolder?: string;
  /** A larger file is refused without being read. */
  readonly maxBytes?: number;
  /** Called with the bytes that have been read; not if the digest is remembered. */
  readonly onProgress?: (bytes: number) => void;
}

/**
 * The size and the SHA-256 of a file. They are remembered in the cache as long as size, times and inode of the file stay the same,
 * so that a start does not read all weights.
 * @throws {ModelError} the file cannot be read, is too large, or is a blob of a Hugging Face cache that is not what its name says
 */
export async function fileContent(file: string, options: DigestOptions): Promise<FileContent> {
  const { cacheDir, modelFolder, maxBytes = Number.POSITIVE_INFINITY, onProgress } = options;
  const known = await rememberedContent(file, cacheDir);
  if (known !== undefined) return known;
  try {
    const target = await realpath(file);
    const before = await identityOf(target);
    if (before.bytes > maxBytes) {
      throw new Error(
        `it has ${readableSize(before.bytes)}, and a model of this config.json ${readableSize(maxBytes)} at most`,
      );
    }
    const sha256 = await hashFile(target, onProgress && { onProgress });
    expectNamedAfter(sha256, target);
    const isAtRest = Date.now() - before.changedAtMs >= restMs;
    const fingerprint = isAtRest ? before.fingerprint : undefined;
    // Without a place to remember it in, it is computed at every start.
    await remember(cacheDir, { file: target, modelFolder, fingerprint, bytes: before.bytes, sha256 }).catch(() => {});
    return { bytes: before.bytes, sha256 };
  } catch (error) {
    if (error instanceof ModelError) throw error;
    throw new ModelError(`${file} cannot be read: ${messageOf(error)}`);
  }
}

/** The same, if it is remembered: the file is not read. */
export async function rememberedContent(file: string, cacheDir: string): Promise<FileContent | undefined> {
  try {
    const target = await realpath(file);
    const memory = parseMemory(await readSmallFile(memoryOf(target, cacheDir), maxMemoryBytes));
    if (memory?.fingerprint !== (await identityOf(target)).fingerprint) return undefined;
    return { bytes: memory.bytes, sha256: memory.sha256 };
  } catch {
    return undefined;
  }
}

/**
 * Remembers the digest of a file that this process has just written, under the path that the file is about to be renamed to.
 * It counts at once: nobody else has written to the file.
 */
export async function rememberWritten(
  file: string,
  { as: target, sha256, cacheDir }: { readonly as: string; readonly sha256: string; readonly cacheDir: string },
): Promise<void> {
  await remember(cacheDir, { ...(await identityOf(file)), file: target, modelFolder: undefined, sha256 });
}

/** What is known of a file that was read. */
export interface Memory {
  /** Its real path. */
  readonly file: string;
  readonly modelFolder: string | undefined;
  /** What it looked like from the outside; undefined if it had been changed too shortly before to rely on that. */
  readonly fingerprint: string | undefined;
  readonly bytes: number;
  readonly sha256: string;
}

/** A file of the cache that remembers the digest of another one. */
export interface MemoryFile {
  readonly path: string;
  /** Undefined if an earlier version of Weft wrote it: nothing reads it any more. */
  readonly memory: Memory | undefined;
}

/** All digests that are remembered. */
export async function memories(cacheDir: string): Promise<MemoryFile[]> {
  const folder = digestsFolder(cacheDir);
  const found: MemoryFile[] = [];
  for (const name of (await readdir(folder).catch(() => [])).sort()) {
    const file = path.join(folder, name);
    const text = memoryName.test(name) ? await readSmallFile(file, maxMemoryBytes).catch(() => '') : '';
    const memory = parseMemory(text);
    if (memory !== undefined || earlierMemory.test(text)) found.push({ path: file, memory });
  }
  return found;
}

const memoryName = /^[0-9a-f]{32}$/;

/** What 0.1.0 wrote before it was released: a fingerprint and a digest. */
const earlierMemory = /^\d+ \d+ \d+ \d+\n[0-9a-f]{64}$/;

/** A Hugging Face cache names large files by their SHA-256. */
function expectNamedAfter(digest: string, file: string): void {
  const name = path.basename(file);
  if (!/^[0-9a-f]{64}$/.test(name) || name === digest || path.basename(path.dirname(file)) !== 'blobs') return;
  throw new ModelError(`${file} is damaged: its SHA-256 is not its name; weft models pull gets it again`);
}

/** Times may be too coarse to tell a file from what it was a moment ago: only what had been at rest for so long is relied on. */
const restMs = 100;

export function digestsFolder(cacheDir: string): string {
  return path.join(cacheDir, 'digests');
}

function memoryOf(target: string, cacheDir: string): string {
  return path.join(digestsFolder(cacheDir), createHash('sha256').update(target).digest('hex').slice(0, 32));
}

async function remember(cacheDir: string, { file, modelFolder, fingerprint, bytes, sha256 }: Memory): Promise<void> {
  const memory = memoryOf(file, cacheDir);
  await ensureFolder(path.dirname(memory));
  const text = JSON.stringify({ file, modelFolder, fingerprint, bytes, sha256 });
  await replaceFile(memory, (temporary) => writeFile(temporary, text));
}

/** Above what two paths take. */
const maxMemoryBytes = 64 * 1024;

function parseMemory(text: string): Memory | undefined {
  try {
    const { file, modelFolder, fingerprint, bytes, sha256 } = JSON.parse(text);
    const isWhole = typeof file === 'string' && typeof bytes === 'number' && typeof sha256 === 'string';
    return isWhole ? { file, modelFolder, fingerprint, bytes, sha256 } : undefined;
  } catch {
    return undefined;
  }
}

async function identityOf(file: string) {
  const { size, mtimeNs, ctimeNs, ino } = await stat(file, { bigint: true });
  const changedAtNs = mtimeNs > ctimeNs ? mtimeNs : ctimeNs;
  return {
    bytes: Number(size),
    changedAtMs: Number(changedAtNs / 1_000_000n),
    fingerprint: [size, mtimeNs, ctimeNs, ino].join(' '),
  };
}
