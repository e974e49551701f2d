import { createHash, type Hash } from 'node:crypto';
import { type FileHandle, open, stat, truncate } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { ModelError } from '../../core/index.ts';
import { hashFile } from '../../files/index.ts';
import { type HubClient, type HubFile, HubUnreachableError } from './hub-client.ts';
import { PartialFile } from './partial-file.ts';

export interface Download {
  readonly hub: HubClient;
  readonly repo: string;
  readonly commit: string;
  readonly file: HubFile;
  /** Where the complete file goes. */
  readonly target: string;
  /** Called with the number of bytes fetched so far. */
  readonly onProgress: (bytes: number) => void;
  /** Called once if another process is fetching it. */
  readonly onWait: () => void;
}

/**
 * Fetches a file unless an intact one exists. Resumes an earlier attempt, retries when the connection breaks, and waits if another
 * process is fetching the same file.
 * @throws {ModelError} it cannot be fetched, or its checksum is wrong; a later attempt can resume what is left
 */
export async function download(work: Download): Promise<void> {
  const { target, file, onProgress, onWait } = work;
  const partial = await PartialFile.claim(target, { isWhole: () => isIntact(target, file), onWait });
  if (partial === undefined) return onProgress(file.size);
  try {
    await fill(partial.path, work);
    if (!(await isIntact(partial.path, file))) {
      // The part from an earlier attempt may be damaged: start over.
      await truncate(partial.path);
      await fill(partial.path, work);
      if (!(await isIntact(partial.path, file))) throw await damaged(partial, work);
    }
    await partial.complete();
  } catch (error) {
    await partial.abandon().catch(() => {});
    throw error;
  }
}

async function damaged(partial: PartialFile, { repo, file }: Download): Promise<ModelError> {
  await partial.discard();
  return new ModelError(
    `${file.path} of ${repo} arrived damaged: its ${file.checksum.algorithm} is not ${file.checksum.hex}; it was deleted, try again`,
  );
}

/** Whether a file has the expected size and checksum. */
export async function isIntact(target: string, file: HubFile): Promise<boolean> {
  const stats = await stat(target).catch(() => undefined);
  if (!stats?.isFile() || stats.size !== file.size) return false;
  return (await hashFile(target, { hash: hashOf(file) })) === file.checksum.hex;
}

function hashOf({ checksum, size }: HubFile): Hash {
  if (checksum.algorithm === 'sha256') return createHash('sha256');
  return createHash('sha1').update(`blob ${size}\0`);
}

const maxFailuresInARow = 3;
const pauseAfterFailureMs = 1000;

/** Appends the missing bytes. */
async function fill(partialPath: string, work: Download): Promise<void> {
  const output = await open(partialPath, 'a+');
  try {
    let numFailures = 0;
    let furthest = 0;
    for (;;) {
      const { size: before } = await output.stat();
      furthest = Math.max(furthest, before);
      work.onProgress(before);
      if (before >= work.file.size) break;
      const failure = await fetchRest(output, before, work);
      const hasGrown = (await output.stat()).size > furthest;
      if (failure === undefined && hasGrown) continue;
      numFailures = hasGrown ? 1 : numFailures + 1;
      if (numFailures === maxFailuresInARow) {
        throw failure ?? new HubUnreachableError(`${work.file.path} of ${work.repo} ends after ${before} bytes`);
      }
      await setTimeout(numFailures * pauseAfterFailureMs);
    }
    await output.sync();
  } finally {
    await output.close();
  }
}

/** @returns why it stopped early, if a retry may help */
async function fetchRest(
  output: FileHandle,
  offset: number,
  { hub, repo, commit, file, onProgress }: Download,
): Promise<HubUnreachableError | undefined> {
  try {
    const source = await hub.read(repo, commit, { path: file.path, offset });
    if (source.offset < offset) await output.truncate(source.offset);
    let end = source.offset;
    for await (const chunk of source.chunks) {
      await output.appendFile(chunk);
      end += chunk.length;
      onProgress(end);
      if (end > file.size) break;
    }
    return undefined;
  } catch (error) {
    if (error instanceof HubUnreachableError) return error;
    throw error;
  }
}
