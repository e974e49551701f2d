import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open, rm, stat } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { ModelError } from '../../core/index.ts';
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
}

/**
 * Fetches a file unless it is there and what it should be. Goes on where an earlier attempt was cut off,
 * tries again when the connection breaks, and waits if somebody else is fetching the same.
 * @throws {ModelError} it cannot be fetched, or what comes is not what the hub says; what is left can be resumed or is gone
 */
export async function download(work: Download): Promise<void> {
  const { target, file, onProgress } = work;
  if (await isIntact(target, file)) return onProgress(file.size);
  await rm(target, { force: true });
  const partial = await PartialFile.claim(target);
  if (partial === undefined) return onProgress(file.size);
  try {
    if (!(await fill(partial.path, work))) {
      // What an earlier attempt had left was not good: everything anew.
      await rm(partial.path);
      if (!(await fill(partial.path, work))) throw await damaged(partial, work);
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
  if (stats?.size !== file.size) return false;
  const hash = hashOf(file);
  for await (const chunk of createReadStream(target, { highWaterMark: 2 ** 20 })) hash.update(chunk);
  return hash.digest('hex') === file.checksum.hex;
}

function hashOf({ checksum, size }: HubFile): Hash {
  if (checksum.algorithm === 'sha256') return createHash('sha256');
  return createHash('sha1').update(`blob ${size}\0`);
}

const maxFailuresInARow = 3;
const pauseAfterFailureMs = 1000;

/** Appends what is missing. @returns whether the content is what it should be */
async function fill(partialPath: string, work: Download): Promise<boolean> {
  const output = await open(partialPath, 'a+');
  try {
    let numFailures = 0;
    for (;;) {
      const { size: before } = await output.stat();
      work.onProgress(before);
      if (before >= work.file.size) break;
      const failure = await fetchRest(output, before, work);
      const hasGrown = (await output.stat()).size > before;
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
  return isIntact(partialPath, work.file);
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
