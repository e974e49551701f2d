import { copyFile, mkdtemp, rm, stat, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ModelError, readableSize } from '../../core/index.ts';
import { exists } from '../../files/index.ts';
import { type OptConfig, readOptConfig, selectWeights } from '../../model/index.ts';
import { download, isIntact } from './download.ts';
import type { HubCache } from './hub-cache.ts';
import type { HubClient, HubFile } from './hub-client.ts';
import { PartialFile } from './partial-file.ts';

/** A file on its way. */
export interface PullProgress {
  readonly file: string;
  readonly bytes: number;
  readonly totalBytes: number;
}

export interface PullOptions {
  readonly revision: string;
  /** Called for files that are here already, too. */
  readonly onProgress: (progress: PullProgress) => void;
  /** Called when another process is fetching a file: it is waited for. */
  readonly onWait: (file: string) => void;
  /** Called before anything is kept. @throws if the model is not wanted */
  readonly checkConfig?: (config: OptConfig) => void;
}

export interface Pull extends PullOptions {
  readonly hub: HubClient;
  readonly cache: HubCache;
  readonly repo: string;
}

const configFiles = ['config.json', 'generation_config.json'];
const tokenizerFiles = [
  'tokenizer.json',
  'tokenizer_config.json',
  'vocab.json',
  'merges.txt',
  'special_tokens_map.json',
];

/**
 * Fetches what is needed of a model into the Hugging Face cache; what is there is checked, not fetched again.
 * The weights' main file comes last, and the revision is remembered when everything is there: what a pull that was cut off leaves
 * is not taken for a model.
 * @returns the model's folder
 * @throws {ModelError} there is no such model, it is no OPT, it does not fit on the disk, or it cannot be fetched
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

/** The files that a model is opened from, in the order in which they are fetched. */
function neededFiles(repo: string, files: readonly HubFile[]): HubFile[] {
  const names = files.map((file) => file.path);
  const weights = selectWeights(names);
  if (!names.includes('config.json'))
    throw new ModelError(`${repo} has no config.json: it is not a transformers model`);
  if (weights === undefined) {
    throw new ModelError(
      `${repo} has no weights that can be read: neither safetensors nor PyTorch's nor ONNX in fp32 or fp16`,
    );
  }
  const wanted = [...configFiles, ...tokenizerFiles, ...weights.parts, weights.main];
  return wanted.flatMap((name) => files.filter((file) => file.path === name));
}

/** Looks at the configuration before the cache gets anything of the model. */
async function checkConfig(work: Pull, commit: string, files: readonly HubFile[]): Promise<void> {
  const scratch = await mkdtemp(path.join(tmpdir(), 'weft-'));
  try {
    for (const file of files.filter(({ path: name }) => configFiles.includes(name))) {
      const target = path.join(scratch, file.path);
      const blob = work.cache.blobPath(work.repo, file.checksum.hex);
      if (await isIntact(blob, file)) await copyFile(blob, target);
      else await download({ ...sourceOf(work, commit, file), target });
    }
    const config = await readOptConfig(scratch);
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
      `${repo} takes ${readableSize(missing)}, and the disk of ${cache.repoFolder(repo)} has ${readableSize(room)} left: choose another with HF_HUB_CACHE`,
    );
  }
}

/** The folder itself, or the nearest above it that is there. */
async function nearestFolder(folder: string): Promise<string> {
  const stats = await stat(folder).catch(() => undefined);
  return stats !== undefined || path.dirname(folder) === folder ? folder : nearestFolder(path.dirname(folder));
}
