import { rm, stat, statfs } from 'node:fs/promises';
import { ModelError, readableSize } from '../../core/index.ts';
import { type OptConfig, readOptConfig, selectWeights } from '../../model/index.ts';
import { download } from './download.ts';
import type { HubCache } from './hub-cache.ts';
import type { HubClient, HubFile } from './hub-client.ts';

/** A file on its way. */
export interface PullProgress {
  readonly file: string;
  readonly bytes: number;
  readonly totalBytes: number;
}

export interface Pull {
  readonly hub: HubClient;
  readonly cache: HubCache;
  readonly repo: string;
  readonly revision: string;
  readonly onProgress: (progress: PullProgress) => void;
  /** Called before the weights are fetched. @throws if they are not wanted */
  readonly checkConfig: (config: OptConfig) => void;
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
 * The revision is remembered when everything is there: a pull that was cut off leaves no model that could be taken for whole.
 * @returns the model's folder
 * @throws {ModelError} there is no such model, it is no OPT, it does not fit on the disk, or it cannot be fetched
 */
export async function pull(work: Pull): Promise<string> {
  const { hub, cache, repo, revision } = work;
  const commit = await hub.commitOf(repo, revision);
  const files = await hub.files(repo, commit);
  const { config, rest } = neededFiles(repo, files);
  const wasHere = await stat(cache.repoFolder(repo)).catch(() => undefined);
  const folder = cache.snapshotFolder(repo, commit);
  try {
    await fetchAll(work, commit, config);
    work.checkConfig(await readOptConfig(folder));
  } catch (error) {
    if (wasHere === undefined) await rm(cache.repoFolder(repo), { recursive: true, force: true });
    throw error;
  }
  await expectRoom(work, rest);
  await fetchAll(work, commit, rest);
  await cache.remember(repo, revision, commit);
  return folder;
}

/** The files that a model is opened from: its configuration first, which says whether the rest is wanted. */
function neededFiles(repo: string, files: readonly HubFile[]) {
  const names = files.map((file) => file.path);
  const weights = selectWeights(names);
  if (!names.includes('config.json'))
    throw new ModelError(`${repo} has no config.json: it is not a transformers model`);
  if (weights === undefined) {
    throw new ModelError(
      `${repo} has no weights that can be read: neither safetensors nor PyTorch's nor ONNX in fp32 or fp16`,
    );
  }
  const named = (wanted: readonly string[]) => files.filter((file) => wanted.includes(file.path));
  return { config: named(configFiles), rest: named([...tokenizerFiles, ...weights.files]) };
}

async function fetchAll(
  { hub, cache, repo, onProgress }: Pull,
  commit: string,
  files: readonly HubFile[],
): Promise<void> {
  for (const file of files) {
    const checksum = file.checksum.hex;
    await download({
      hub,
      repo,
      commit,
      file,
      target: cache.blobPath(repo, checksum),
      onProgress: (bytes) => onProgress({ file: file.path, bytes, totalBytes: file.size }),
    });
    await cache.link(repo, commit, { path: file.path, checksum });
  }
}

async function expectRoom({ cache, repo }: Pull, files: readonly HubFile[]): Promise<void> {
  let missing = 0;
  for (const { checksum, size } of files) {
    const isHere = await stat(cache.blobPath(repo, checksum.hex)).catch(() => undefined);
    if (isHere === undefined) missing += size;
  }
  const { bavail, bsize } = await statfs(cache.repoFolder(repo));
  const room = bavail * bsize;
  if (missing > room) {
    throw new ModelError(
      `${repo} takes ${readableSize(missing)}, and the disk of ${cache.repoFolder(repo)} has ${readableSize(room)} left: choose another with HF_HUB_CACHE`,
    );
  }
}
