import { readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { HubEnvironment } from '../config/index.ts';
import { isUnfinished, ModelError, messageOf } from '../core/index.ts';
import { inspectModel, type OptConfig } from '../model/index.ts';
import { HubCache } from './hub/hub-cache.ts';
import { HubClient, HubUnreachableError } from './hub/hub-client.ts';
import { type PullProgress, pull } from './hub/pull.ts';
import type { PublishedShape } from './random/published-shapes.ts';
import { makeRandomModel } from './random/random-model.ts';

/** A model that is on this machine. */
export interface StoredModel {
  readonly name: string;
  readonly folder: string;
  readonly origin: 'embedded' | 'random' | 'hub' | 'folder';
  /** Of a model of the hub. */
  readonly revision?: string;
}

export interface StoreOptions {
  /** Where random models are kept. */
  readonly folder: string;
  /** The model that comes with Weft. */
  readonly embeddedFolder: string;
  readonly hub: HubEnvironment;
}

export interface PullOptions {
  readonly revision: string;
  readonly onProgress: (progress: PullProgress) => void;
  /** Called before the weights are fetched. @throws if they are not wanted */
  readonly checkConfig?: (config: OptConfig) => void;
}

/** The models that can be served: by the path of a folder, by the name of one that is here, or as OWNER/NAME from the Hugging Face hub. */
export class ModelStore {
  readonly #folder: string;
  readonly #embeddedFolder: string;
  readonly #hub: HubEnvironment;
  readonly #cache: HubCache;

  constructor({ folder, embeddedFolder, hub }: StoreOptions) {
    this.#folder = folder;
    this.#embeddedFolder = embeddedFolder;
    this.#hub = hub;
    this.#cache = new HubCache(hub.cacheDir);
  }

  /** The model of that name, fetched if it is of the hub and not here. @throws {ModelError} it is not here and cannot be fetched */
  async locate(name: string, options: PullOptions): Promise<StoredModel> {
    const here = await this.find(name, options.revision);
    if (here !== undefined) return here;
    if (!isRepo(name)) throw await this.#notHere(name);
    try {
      return await this.pull(name, options);
    } catch (error) {
      if (!(error instanceof HubUnreachableError)) throw error;
      throw new ModelError(
        `${name} is not on this machine, and ${messageOf(error)}; here are: ${await this.#namesHere()}`,
      );
    }
  }

  /** The model of that name, if it is here with all its files. */
  async find(name: string, revision: string): Promise<StoredModel | undefined> {
    if (await exists(name)) return { name: path.basename(path.resolve(name)), folder: name, origin: 'folder' };
    if (name === this.#embedded.name) return this.#embedded;
    if (isPlain(name) && (await exists(path.join(this.#folder, name)))) return this.#random(name);
    return isRepo(name) ? this.#findInCache(name, revision) : undefined;
  }

  /** @throws {ModelError} nothing of that name is here */
  async get(name: string, revision: string): Promise<StoredModel> {
    const model = await this.find(name, revision);
    if (model === undefined) throw await this.#notHere(name);
    return model;
  }

  /** Fetches a model of the hub, or what has changed of it. @throws {ModelError} it cannot be fetched, or is none that can be served */
  async pull(repo: string, { revision, onProgress, checkConfig = () => {} }: PullOptions): Promise<StoredModel> {
    if (!isRepo(repo))
      throw new ModelError(`${repo} is no model of the hub: that is written OWNER/NAME, like facebook/opt-125m`);
    if (!/^\w[\w./-]*$/.test(revision) || revision.includes('..'))
      throw new ModelError(`${revision} is no revision of a model`);
    if (this.#hub.isOffline) throw new HubUnreachableError('HF_HUB_OFFLINE keeps it from being fetched');
    const hub = new HubClient(this.#hub);
    const folder = await pull({ hub, cache: this.#cache, repo, revision, onProgress, checkConfig });
    return { name: repo, folder, origin: 'hub', revision };
  }

  /** Makes a random model, named after its shape. */
  async makeRandom(
    shape: PublishedShape,
    { seed, onProgress }: { readonly seed: number; readonly onProgress: (done: number, total: number) => void },
  ): Promise<StoredModel> {
    const name = `${shape}-random`;
    const folder = path.join(this.#folder, name);
    try {
      await makeRandomModel(folder, { shape, seed, tokenizerFolder: this.#embeddedFolder, onProgress });
    } catch (error) {
      throw new ModelError(`${name} cannot be made in ${this.#folder}: ${messageOf(error)}`);
    }
    return this.#random(name);
  }

  /** Every model that is here and can be served. */
  async list(): Promise<StoredModel[]> {
    const random = (await foldersIn(this.#folder)).map((name) => this.#random(name));
    const repos = await this.#cache.repos();
    const pulled = repos.flatMap(({ repo, revisions }) =>
      revisions.map((revision) => this.#findInCache(repo, revision)),
    );
    const found = [this.#embedded, ...random, ...(await Promise.all(pulled))];
    return found.filter((model) => model !== undefined);
  }

  /**
   * Removes a model with all its revisions, also one that was fetched in part.
   * @returns where it was
   * @throws {ModelError} nothing of that name is here, or it is not the store's to remove
   */
  async remove(name: string): Promise<{ readonly folder: string }> {
    if (name === this.#embedded.name) throw new ModelError(`${name} comes with Weft and cannot be removed`);
    const folder = isRepo(name) ? this.#cache.repoFolder(name) : path.join(this.#folder, name);
    if (!(isRepo(name) || isPlain(name)) || !(await exists(folder))) {
      if (await exists(name)) throw new ModelError(`${name} is a folder of yours: remove it yourself`);
      throw await this.#notHere(name);
    }
    await rm(folder, { recursive: true, force: true });
    return { folder };
  }

  get #embedded(): StoredModel {
    return { name: path.basename(this.#embeddedFolder), folder: this.#embeddedFolder, origin: 'embedded' };
  }

  #random(name: string): StoredModel {
    return { name, folder: path.join(this.#folder, name), origin: 'random' };
  }

  async #findInCache(repo: string, revision: string): Promise<StoredModel | undefined> {
    const commit = await this.#cache.commitOf(repo, revision);
    if (commit === undefined) return undefined;
    const folder = this.#cache.snapshotFolder(repo, commit);
    const isWhole = await inspectModel(folder).then(
      () => true,
      () => false,
    );
    return isWhole ? { name: repo, folder, origin: 'hub', revision } : undefined;
  }

  async #namesHere(): Promise<string> {
    return [...new Set((await this.list()).map(({ name }) => name))].join(', ');
  }

  async #notHere(name: string): Promise<ModelError> {
    if (!isPlain(name) && !isRepo(name)) return new ModelError(`there is no model folder ${name}`);
    return new ModelError(
      `there is no model ${name}; here are: ${await this.#namesHere()}; those of the hub are written OWNER/NAME, like facebook/opt-125m`,
    );
  }
}

/** OWNER/NAME. */
function isRepo(name: string): boolean {
  return /^\w[\w.-]*\/\w[\w.-]*$/.test(name) && !/\.\.|--/.test(name);
}

function isPlain(name: string): boolean {
  return /^\w[\w.-]*$/.test(name);
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}

async function foldersIn(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch(() => []);
  return names.filter((name) => !isUnfinished(name)).sort();
}
