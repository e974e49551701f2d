import type { ListFileEntry } from '@huggingface/hub';
import type { HubEnvironment } from '../../config/index.ts';
import { ModelError, messageOf, show } from '../../core/index.ts';

/** A file of a repository on the hub. */
export interface HubFile {
  /** Its path in the repository, with `/`. */
  readonly path: string;
  readonly size: number;
  /** The hash of its content, which also names its blob in a cache. */
  readonly checksum: Checksum;
}

/** SHA-256 of the content of a large file, or SHA-1 of the git blob of a small one. */
export interface Checksum {
  readonly algorithm: 'sha256' | 'git-sha1';
  readonly hex: string;
}

/** The hub, or a proxy in between, does not answer as it should. */
export class HubUnreachableError extends ModelError {}

/** Reads models from the Hugging Face hub. */
export class HubClient {
  readonly #endpoint: string;
  readonly #token: string | undefined;

  constructor({ endpoint, token }: Pick<HubEnvironment, 'endpoint' | 'token'>) {
    this.#endpoint = endpoint;
    this.#token = token;
  }

  /** The commit that a branch, tag or commit resolves to. @throws {ModelError} the model or revision does not exist or is not accessible */
  async commitOf(repo: string, revision: string): Promise<string> {
    const { modelInfo } = await import('@huggingface/hub');
    const access = this.#access(`${repo} at ${revision}`);
    const { sha } = await this.#expectHub(modelInfo({ ...access, name: repo, revision, additionalFields: ['sha'] }));
    // It becomes a folder name.
    if (typeof sha !== 'string' || !/^\w{6,64}$/.test(sha)) {
      throw new ModelError(`${this.#host} returned no commit for ${repo}: ${show(sha)}`);
    }
    return sha;
  }

  async files(repo: string, commit: string): Promise<HubFile[]> {
    const { listFiles } = await import('@huggingface/hub');
    const listing = listFiles({ ...this.#access(repo), repo, revision: commit, recursive: true });
    const entries = await this.#expectHub(collect(listing));
    return entries.map(hubFileOf).filter((file) => file !== undefined);
  }

  /**
   * The bytes of a file, starting at an offset.
   * @returns the offset at which the bytes start: 0 if the server does not support ranges
   * @throws {HubUnreachableError} also from the stream, if the connection breaks
   */
  async read(repo: string, commit: string, { path, offset }: { path: string; offset: number }) {
    const url = `${this.#endpoint}/${repo}/resolve/${commit}/${path.split('/').map(encodeURIComponent).join('/')}`;
    // A compressed download could not be resumed.
    const headers = { 'accept-encoding': 'identity', ...(offset > 0 && { range: `bytes=${offset}-` }) };
    const response = await this.#fetch(`${path} of ${repo}`, url, { headers });
    return { offset: response.status === 206 ? offset : 0, chunks: this.#chunks(response, path) };
  }

  /** Turns what the library cannot parse into an error: another server answered, or the connection broke. */
  async #expectHub<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer;
    } catch (error) {
      if (error instanceof ModelError) throw error;
      throw new HubUnreachableError(`${this.#host} did not answer as the hub does (${causeOf(error)})`);
    }
  }

  async *#chunks(response: Response, path: string): AsyncGenerator<Uint8Array> {
    try {
      if (response.body !== null) yield* response.body;
    } catch (error) {
      throw new HubUnreachableError(`the connection to ${this.#host} broke at ${path}: ${causeOf(error)}`);
    }
  }

  get #host(): string {
    return new URL(this.#endpoint).host;
  }

  #access(what: string) {
    const fetchIt: typeof fetch = (input, init) => this.#fetch(what, input, init);
    return { hubUrl: this.#endpoint, fetch: fetchIt };
  }

  /** @param what the request is for, in messages */
  async #fetch(what: string, input: FetchInput, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    // A file list may continue at another address, which must not get the token.
    const isHub = new URL(input instanceof Request ? input.url : input).origin === new URL(this.#endpoint).origin;
    if (this.#token !== undefined && isHub) headers.set('authorization', `Bearer ${this.#token}`);
    let response: Response;
    try {
      response = await fetch(input, { ...init, headers });
    } catch (error) {
      throw new HubUnreachableError(`${this.#host} cannot be reached (${causeOf(error)})`);
    }
    if (response.ok && canBeFollowed(response)) return response;
    await response.body?.cancel();
    if (response.ok)
      throw new HubUnreachableError(`${this.#host} gave a list of files whose next page cannot be found`);
    throw this.#refusal(what, response);
  }

  /** The hub also answers 401 for a model that does not exist. Codes: `HfHubHTTPError` in https://github.com/huggingface/huggingface_hub */
  #refusal(what: string, { status, headers }: Response): ModelError {
    const code = headers.get('x-error-code');
    if (code === 'RevisionNotFound') return new ModelError(`${this.#host} has no ${what}`);
    if (code === 'GatedRepo' || status === 403) {
      return new ModelError(
        `${what} may not be read: accept its terms on ${this.#host} and set HF_TOKEN to a token of that account`,
      );
    }
    if (status === 404 || status === 401) {
      const hint = this.#token === undefined ? 'if it is private, set HF_TOKEN' : 'or HF_TOKEN does not open it';
      return new ModelError(`${this.#host} has no ${what}; ${hint}`);
    }
    if (status === 429 || status >= 500) return new HubUnreachableError(`${this.#host} answered ${status} for ${what}`);
    return new ModelError(`${this.#host} answered ${status} for ${what}`);
  }
}

/** The library stops silently at a link to a next page that it does not understand. */
function canBeFollowed({ headers }: Response): boolean {
  const link = headers.get('link') ?? '';
  return !/rel="?next/.test(link) || /<https?:[^>]+>; rel="next"/.test(link);
}

/** @returns undefined for folders, and for files that cannot be stored under their name or checked */
function hubFileOf(entry: ListFileEntry | null): HubFile | undefined {
  const { type, path, size, oid, lfs } = entry ?? {};
  if (type !== 'file' || typeof path !== 'string' || !path.split('/').every(isFileName)) return undefined;
  const bytes = lfs?.size ?? size;
  const checksum = lfs
    ? ({ algorithm: 'sha256', hex: String(lfs.oid).toLowerCase() } as const)
    : ({ algorithm: 'git-sha1', hex: String(oid).toLowerCase() } as const);
  if (bytes === undefined || !Number.isSafeInteger(bytes) || bytes < 0) return undefined;
  return /^([0-9a-f]{40}|[0-9a-f]{64})$/.test(checksum.hex) ? { path, size: bytes, checksum } : undefined;
}

const maxNameBytes = 255;

function isFileName(name: string): boolean {
  return !/^\.{0,2}$|[\0\\]/.test(name) && Buffer.byteLength(name) <= maxNameBytes;
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

type FetchInput = Parameters<typeof fetch>[0];

/** `fetch` puts the real reason into the cause of its error. */
function causeOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code = (cause as NodeJS.ErrnoException).code;
  return code ?? messageOf(cause);
}
