import { copyFile, mkdtemp, rm, stat, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { configFiles, ModelError, namedTemplates, readableSize, tokenizerFiles } from '../../core/index.ts';
import { exists } from '../../files/index.ts';
import { type ModelConfig, readModelConfig, selectWeights } from '../../model/index.ts';
import { download, isIntact } from './download.ts';
import type { HubCache } from './hub-cache.ts';
import type { HubClient, HubFile } from './hub-client.ts';
import { PartialFile } from './partial-file.ts';

/** The progress of one file. */
export interface PullProgress {
  readonly file: string;
  readonly bytes: number;
  readonly totalBytes: number;
}

export interface PullOptions {
  readonly revision: string;
  /** Also called for files that are already in the cache. */
  readonly onProgress: (progress: PullProgress) => void;
  /** Called when another process is already fetching a file, and this one waits for it. */
  readonly onWait: (file: string) => void;
  /** Called before anything is stored. @throws to reject the model */
  readonly checkConfig?: (config: ModelConfig) => void;
}

export interface Pull extends PullOptions {
  readonly hub: HubClient;
  readonly cache: HubCache;
  readonly repo: string;
}

/**
 * Fetches the files that a model needs into the Hugging Face cache. Files that are already there are checked, not fetched again.
 * The weights' main file comes last, and the revision is recorded once everything is there, so that the remains of an interrupted pull
 * are never mistaken for a model.
 * @returns the model's folder
 * @throws {ModelError} the model does not exist, is not supported, does not fit on the disk, or cannot be fetched
 */
export async function pull(work: Pull): Promise<string> {
  const { hub, cache, repo, revision } = work;
  const commit = await hub.commitOf(repo, revision);
  const files = neededFiles(repo, await hub.files(repo, commit));
  await checkConfig(work, commit, files);
  await expectRoom(work, files);
  for (const file of files) {
    const checksum = file.checksum.hex;
    await download({ ...sourceOf(work, commit, file), target: cache.blobPath(repo, checksum) });
    await cache.link(repo, commit, { path: file.path, checksum });
  }
  await cache.remember(repo, revision, commit);
  return cache.snapshotFolder(repo, commit);
}

/** The files that a model needs, in the order in which they are fetched. */
function neededFiles(repo: string, files: readonly HubFile[]): HubFile[] {
  const names = files.map((file) => file.path);
  const weights = selectWeights(names);
  if (!names.includes(configFiles.config))
    throw new ModelError(`${repo} has no ${configFiles.config}: it is not a transformers model`);
  if (weights === undefined) {
    throw new ModelError(`${repo} has no weights that Weft can read: safetensors, PyTorch, or ONNX in fp32 or fp16`);
  }
  const described = [...Object.values(configFiles), ...Object.values(tokenizerFiles)];
  const wanted = [...described, ...names.filter(isNamedTemplate), ...weights.parts, weights.main];
  return wanted.flatMap((name) => files.filter((file) => file.path === name));
}

function isNamedTemplate(file: string): boolean {
  return path.posix.dirname(file) === namedTemplates.folder && file.endsWith(namedTemplates.extension);
}

/** Checks the configuration before anything is added to the cache. */
async function checkConfig(work: Pull, commit: string, files: readonly HubFile[]): Promise<void> {
  const scratch = await mkdtemp(path.join(tmpdir(), 'weft-'));
  try {
    const isConfig = ({ path: name }: HubFile) => Object.values<string>(configFiles).includes(name);
    for (const file of files.filter(isConfig)) {
      const target = path.join(scratch, file.path);
      const blob = work.cache.blobPath(work.repo, file.checksum.hex);
      if (await isIntact(blob, file)) await copyFile(blob, target);
      else await download({ ...sourceOf(work, commit, file), target });
    }
    const config = await readModelConfig(scratch);
    work.checkConfig?.(config);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

function sourceOf({ hub, repo, onProgress, onWait }: Pull, commit: string, file: HubFile) {
  return {
    hub,
    repo,
    commit,
    file,
    onProgress: (bytes: number) => onProgress({ file: file.path, bytes, totalBytes: file.size }),
    onWait: () => onWait(file.path),
  };
}

async function expectRoom({ cache, repo }: Pull, files: readonly HubFile[]): Promise<void> {
  let missing = 0;
  for (const { checksum, size } of files) {
    const blob = cache.blobPath(repo, checksum.hex);
    if (!(await exists(blob))) missing += size - (await PartialFile.bytesOf(blob));
  }
  const { bavail, bsize } = await statfs(await nearestFolder(cache.repoFolder(repo)));
  const room = bavail * bsize;
  if (missing > room) {
    throw new ModelError(
      `${repo} takes ${readableSize(missing)}, and the disk of ${cache.repoFolder(repo)} has ${readableSize(room)} left: choose another one with HF_HUB_CACHE`,
    );
  }
}

/** The folder itself, or its nearest ancestor that exists. */
async function nearestFolder(folder: string): Promise<string> {
  const stats = await stat(folder).catch(() => undefined);
  return stats !== undefined || path.dirname(folder) === folder ? folder : nearestFolder(path.dirname(folder));
}
