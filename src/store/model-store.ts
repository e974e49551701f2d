import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import type { HubEnvironment } from '../config/index.ts';
import { ModelError, messageOf, show, tokenizerFiles } from '../core/index.ts';
import { exists, isUnfinished } from '../files/index.ts';
import { inspectModel, publishedConfig, publishedShapes } from '../model/index.ts';
import { HubCache } from './hub/hub-cache.ts';
import { HubClient, HubUnreachableError } from './hub/hub-client.ts';
import { type PullOptions, pull } from './hub/pull.ts';
import { makeRandomModel } from './random/random-model.ts';

/** A model on this machine. */
export interface StoredModel {
  readonly name: string;
  readonly folder: string;
  readonly origin: 'embedded' | 'random' | 'hub' | 'folder';
  /** The revision of a model from the hub. */
  readonly revision?: string;
}

export interface StoreOptions {
  /** Where random models are stored. */
  readonly folder: string;
  /** The model that comes with Weft. */
  readonly embeddedFolder: string;
  readonly hub: HubEnvironment;
}

/** Finds models by the path of a folder, by the name of a local model, or by OWNER/NAME on the Hugging Face hub. */
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

  /** Finds a model, and fetches it from the hub if it is not here. @throws {ModelError} it is not here and cannot be fetched */
  async locate(name: string, options: PullOptions): Promise<StoredModel> {
    const here = await this.#find(name, options.revision);
    if (here !== undefined && (here.origin !== 'hub' || (await hasTokenizer(here.folder)))) return here;
    if (!isRepo(name)) throw await this.#notHere(name);
    try {
      return await this.pull(name, options);
    } catch (error) {
      // Another program may have fetched it without its tokenizer. It can still be served.
      if (here !== undefined && error instanceof ModelError) return here;
      if (!(error instanceof HubUnreachableError)) throw error;
      throw new ModelError(
        `${name} is not on this machine, and ${error.message}; models on this machine: ${await this.#namesHere()}`,
      );
    }
  }

  /** Finds a model on this machine. @throws {ModelError} it is not here */
  async get(name: string, revision: string): Promise<StoredModel> {
    const model = await this.#find(name, revision);
    if (model !== undefined) return model;
    if (!isRepo(name)) throw await this.#notHere(name);
    throw new ModelError(
      `${name} is not on this machine at ${revision}; pull it first, or use one of ${await this.#namesHere()}`,
      { action: 'pull' },
    );
  }

  /** Fetches a model from the hub, or its changed files. @throws {ModelError} it cannot be fetched, stored or served */
  async pull(repo: string, options: PullOptions): Promise<StoredModel> {
    if (!isRepo(repo)) {
      throw new ModelError(`${repo} is not a name on the hub: names there are OWNER/NAME, such as facebook/opt-125m`);
    }
    if (this.#hub.isOffline) throw new HubUnreachableError(`${repo} cannot be fetched while HF_HUB_OFFLINE is set`);
    try {
      const folder = await pull({ ...options, hub: new HubClient(this.#hub), cache: this.#cache, repo });
      return { name: repo, folder, origin: 'hub', revision: options.revision };
    } catch (error) {
      throw isSystemError(error) ? new ModelError(`${repo} cannot be stored on this machine: ${error.message}`) : error;
    }
  }

  /** Makes a model with random weights, named after its shape. @throws {ModelError} no such shape, or it cannot be stored */
  async makeRandom(
    shape: string,
    { seed, onProgress }: { readonly seed: number; readonly onProgress: (done: number, total: number) => void },
  ): Promise<StoredModel> {
    const config = publishedConfig(shape);
    if (config === undefined) {
      throw new ModelError(`unknown shape ${show(shape)}; the shapes are ${publishedShapes().join(', ')}`);
    }
    const name = `${shape}-random`;
    const folder = path.join(this.#folder, name);
    try {
      await makeRandomModel(folder, { shape, config, seed, tokenizerFolder: this.#embeddedFolder, onProgress });
    } catch (error) {
      throw isSystemError(error) ? new ModelError(`${name} cannot be stored on this machine: ${error.message}`) : error;
    }
    return this.#random(name);
  }

  /** All models on this machine that have a name. */
  async list(): Promise<StoredModel[]> {
    const random = (await foldersIn(this.#folder)).map((name) => this.#random(name));
    const repos = (await this.#cache.repos()).filter(({ repo }) => isRepo(repo));
    const pulled = repos.flatMap(({ repo, revisions }) =>
      revisions.map((revision) => this.#findInCache(repo, revision)),
    );
    const found = [this.#embedded, ...random, ...(await Promise.all(pulled))];
    return found.filter((model) => model !== undefined);
  }

  /**
   * Removes a model with all its revisions, even if it was fetched only in part.
   * @returns where it was
   * @throws {ModelError} nothing of that name is here, or the store does not own it
   */
  async remove(name: string): Promise<{ readonly folder: string }> {
    if (await exists(name)) throw new ModelError(`${name} is your own folder: remove it yourself`);
    if (name === this.#embedded.name) throw new ModelError(`${name} comes with Weft and cannot be removed`);
    const folder = isRepo(name) ? this.#cache.repoFolder(name) : path.join(this.#folder, name);
    if (!(isRepo(name) || isPlain(name)) || !(await exists(folder))) throw await this.#notHere(name);
    if (isRepo(name) && (await this.#cache.holdsOther(name))) {
      throw new ModelError(
        `${name} is not a model that Weft can serve: another program put it in ${folder}; remove it with that program`,
      );
    }
    try {
      await rm(folder, { recursive: true, force: true });
    } catch (error) {
      throw new ModelError(`${folder} cannot be removed: ${messageOf(error)}`);
    }
    return { folder };
  }

  /** The model of that name, if it is on this machine. */
  async #find(name: string, revision: string): Promise<StoredModel | undefined> {
    if (await exists(name)) return { name: path.basename(path.resolve(name)), folder: name, origin: 'folder' };
    if (name === this.#embedded.name) return this.#embedded;
    if (isPlain(name) && (await exists(path.join(this.#folder, name)))) return this.#random(name);
    return isRepo(name) ? this.#findInCache(name, revision) : undefined;
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
      `there is no model ${name}; models on this machine: ${await this.#namesHere()}; names on the hub are OWNER/NAME, such as facebook/opt-125m`,
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

async function hasTokenizer(folder: string): Promise<boolean> {
  return (await exists(path.join(folder, tokenizerFiles.tokenizer))) || exists(path.join(folder, tokenizerFiles.vocab));
}

/** Whether an operation failed for lack of space, permission or the like; not a defect. */
function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && typeof (error as NodeJS.ErrnoException).syscall === 'string';
}

async function foldersIn(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch(() => []);
  return names.filter((name) => !isUnfinished(name)).sort();
}
