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
  /** Where the content is to be, whole. */
  readonly target: string;
  /** How many bytes of the file are there. */
  readonly onProgress: (bytes: number) => void;
  /** Called once if somebody else is fetching it. */
  readonly onWait: () => void;
}

/**
 * Fetches a file unless it is there and what it should be. Goes on where an earlier attempt was cut off,
 * tries again when the connection breaks, and waits if somebody else is fetching the same.
 * @throws {ModelError} it cannot be fetched, or what comes is not what the hub says; what is left can be resumed or is gone
 */
export async function download(work: Download): Promise<void> {
  const { target, file, onProgress, onWait } = work;
  const partial = await PartialFile.claim(target, { isWhole: () => isIntact(target, file), onWait });
  if (partial === undefined) return onProgress(file.size);
  try {
    await fill(partial.path, work);
    if (!(await isIntact(partial.path, file))) {
      // What an earlier attempt had left may not have been good: everything anew.
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
    `${file.path} of ${repo} came damaged: it has another ${file.checksum.algorithm} than ${file.checksum.hex}; it was thrown away, try again`,
  );
}

/** Whether a file has the size and the checksum that it should have. */
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

/** Appends what is missing. */
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

/** @returns why it ended before the file did, if trying again may help */
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
