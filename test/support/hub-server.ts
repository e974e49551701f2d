import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { onTestFinished } from 'vitest';

/** Smaller files are stored in git, with a git checksum. The others are stored in LFS, with a SHA-256, and served from another path. */
const lfsFromBytes = 100_000;

interface Repo {
  readonly commit: string;
  readonly files: Readonly<Record<string, Buffer>>;
}

/** What goes wrong when a file is requested: once, unless stated otherwise. */
interface Trouble {
  /** Sends this many bytes, and the rest on {@link HubServer.resume}. */
  readonly stallAfter?: number;
  /** Sends this many bytes, then breaks the connection. */
  readonly breakAfter?: number;
  /** Sends wrong bytes, every time. */
  readonly isCorrupt?: boolean;
}

/** Serves the part of the hub's API that downloading models takes. Large files are redirected to another path. */
export class HubServer {
  readonly #repos = new Map<string, Repo>();
  readonly #troubles = new Map<string, Trouble>();
  readonly #heldBack: (() => void)[] = [];
  readonly #server = createServer((request, response) => this.#answer(request, response));
  /** The requests so far: `GET /path`, or `GET /path from 100` if they asked for a range. */
  readonly requests: string[] = [];
  /** Whether range requests are supported. */
  hasRanges = true;
  /** An HTML page that replaces every answer of the API. */
  page: string | undefined;
  /** Requests without this token are refused. */
  token: string | undefined;
  url = '';

  static async start(): Promise<HubServer> {
    const hub = new HubServer();
    hub.#server.listen(0, '127.0.0.1');
    await once(hub.#server, 'listening');
    const address = hub.#server.address();
    hub.url = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : ''}`;
    onTestFinished(() => {
      hub.#server.closeAllConnections();
      hub.#server.close();
    });
    return hub;
  }

  /** Publishes a repository. @returns its commit */
  publish(name: string, files: Readonly<Record<string, Buffer>>): string {
    const hash = createHash('sha1');
    for (const [path, content] of Object.entries(files)) hash.update(path).update(content);
    const commit = hash.digest('hex');
    this.#repos.set(name, { commit, files });
    return commit;
  }

  trouble(path: string, trouble: Trouble): void {
    this.#troubles.set(path, trouble);
  }

  /** Sends the bytes held back by `stallAfter`. */
  resume(): void {
    for (const send of this.#heldBack.splice(0)) send();
  }

  /** Resolves when this many requests have matched the pattern. */
  async requested(pattern: RegExp, times = 1): Promise<void> {
    while (this.requests.filter((request) => pattern.test(request)).length < times) await once(this.#server, 'request');
  }

  #answer(request: IncomingMessage, response: ServerResponse): ServerResponse {
    const url = new URL(request.url ?? '', this.url);
    const from = this.hasRanges ? /bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] : undefined;
    this.requests.push(`${request.method} ${url.pathname}${from ? ` from ${from}` : ''}`);
    const [, first = '', second = '', third = '', fourth = '', ...rest] = url.pathname
      .split('/')
      .map(decodeURIComponent);
    if (this.token !== undefined && first !== 'cdn' && request.headers.authorization !== `Bearer ${this.token}`) {
      return refuse(response, 401, 'RepoNotFound');
    }
    if (first === 'api') return this.#api(response, `${third}/${fourth}`, rest);
    if (first === 'cdn')
      return this.#send(response, { name: `${second}/${third}`, path: [fourth, ...rest].join('/'), from });
    const path = rest.join('/');
    const content = this.#repos.get(`${first}/${second}`)?.files[path];
    if (third !== 'resolve' || content === undefined) return refuse(response, 404, 'EntryNotFound');
    if (content.length < lfsFromBytes) return this.#send(response, { name: `${first}/${second}`, path, from });
    return response.writeHead(302, { location: `/cdn/${first}/${second}/${path}` }).end();
  }

  #api(response: ServerResponse, name: string, [what, revision]: readonly string[]): ServerResponse {
    if (this.page !== undefined) return response.writeHead(200, { 'content-type': 'text/html' }).end(this.page);
    const repo = this.#repos.get(name);
    if (repo === undefined) return refuse(response, 404, 'RepoNotFound');
    if (revision !== 'main' && revision !== repo.commit) return refuse(response, 404, 'RevisionNotFound');
    const body = what === 'tree' ? Object.entries(repo.files).map(treeEntry) : { id: name, sha: repo.commit };
    return response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  }

  #send(
    response: ServerResponse,
    { name, path, from }: { name: string; path: string; from: string | undefined },
  ): ServerResponse {
    const content = this.#repos.get(name)?.files[path];
    if (content === undefined) return refuse(response, 404, 'EntryNotFound');
    const { stallAfter, breakAfter, isCorrupt } = this.#troubles.get(path) ?? {};
    if (!isCorrupt) this.#troubles.delete(path);
    const start = Number(from ?? 0);
    const part = isCorrupt ? Buffer.alloc(content.length - start) : content.subarray(start);
    response.writeHead(from === undefined ? 200 : 206, { 'content-length': part.length });
    if (stallAfter !== undefined) {
      response.write(part.subarray(0, stallAfter));
      this.#heldBack.push(() => response.end(part.subarray(stallAfter)));
    }
    if (breakAfter !== undefined) response.write(part.subarray(0, breakAfter), () => response.destroy());
    else if (stallAfter === undefined) response.end(part);
    return response;
  }
}

function treeEntry([path, content]: [string, Buffer]) {
  const entry = { type: 'file', path, size: content.length, oid: gitSha1(content) };
  if (content.length < lfsFromBytes) return entry;
  const oid = createHash('sha256').update(content).digest('hex');
  return { ...entry, lfs: { oid, size: content.length, pointerSize: 134 } };
}

function gitSha1(content: Buffer): string {
  return createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex');
}

function refuse(response: ServerResponse, status: number, code: string): ServerResponse {
  return response.writeHead(status, { 'x-error-code': code }).end();
}
