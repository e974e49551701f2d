import { createHash } from 'node:crypto';
import { readdir, realpath, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { ModelError, messageOf, readableSize } from '../core/index.ts';
import { ensureFolder, type FileContent, hashFile, readSmallFile, replaceFile } from '../files/index.ts';

export interface DigestOptions {
  /** The cache that remembers digests. */
  readonly cacheDir: string;
  /** The model the file belongs to; undefined for files in the cache. */
  readonly modelFolder?: string;
  /** Larger files are refused without being read. */
  readonly maxBytes?: number;
  /** Called with the number of bytes read so far; not called if the digest is remembered. */
  readonly onProgress?: (bytes: number) => void;
}

/**
 * The size and the SHA-256 of a file. The cache remembers them while size, times and inode of the file stay the same,
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
        `it has ${readableSize(before.bytes)}, and the weights of this config.json take ${readableSize(maxBytes)} at most`,
      );
    }
    const sha256 = await hashFile(target, onProgress && { onProgress });
    expectNamedAfter(sha256, target);
    const isAtRest = Date.now() - before.changedAtMs >= restMs;
    const fingerprint = isAtRest ? before.fingerprint : undefined;
    // If the cache cannot be written, every start hashes the file.
    await remember(cacheDir, { file: target, modelFolder, fingerprint, bytes: before.bytes, sha256 }).catch(() => {});
    return { bytes: before.bytes, sha256 };
  } catch (error) {
    if (error instanceof ModelError) throw error;
    throw new ModelError(`${file} cannot be read: ${messageOf(error)}`);
  }
}

/** The remembered content of a file; undefined if the file has changed or is unknown. Does not read the file. */
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
 * Remembers the digest of a file that this process has just written and is about to rename to `as`.
 * Valid at once, because nobody else has written to the file.
 */
export async function rememberWritten(
  file: string,
  { as: target, sha256, cacheDir }: { readonly as: string; readonly sha256: string; readonly cacheDir: string },
): Promise<void> {
  await remember(cacheDir, { ...(await identityOf(file)), file: target, modelFolder: undefined, sha256 });
}

/** A remembered file. */
export interface Memory {
  /** Its real path. */
  readonly file: string;
  readonly modelFolder: string | undefined;
  /** Size, times and inode; undefined if the file had changed too recently to rely on them. */
  readonly fingerprint: string | undefined;
  readonly bytes: number;
  readonly sha256: string;
}

/** A file in the cache that holds a {@link Memory}. */
export interface MemoryFile {
  readonly path: string;
  /** Undefined if an earlier version of Weft wrote it; such files are no longer read. */
  readonly memory: Memory | undefined;
}

/** All remembered files. */
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

/** The format before `file` was recorded: a fingerprint and a digest. */
const earlierMemory = /^\d+ \d+ \d+ \d+\n[0-9a-f]{64}$/;

/** A Hugging Face cache names large files by their SHA-256. */
function expectNamedAfter(digest: string, file: string): void {
  const name = path.basename(file);
  if (!/^[0-9a-f]{64}$/.test(name) || name === digest || path.basename(path.dirname(file)) !== 'blobs') return;
  throw new ModelError(`${file} is damaged: its SHA-256 is not its name; pull the model again`, { action: 'pull' });
}

/** File times are coarse: a file that changed more recently could change again without a new time. */
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

/** More than two paths and a digest need. */
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
