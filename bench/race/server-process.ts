import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout } from 'node:timers/promises';

/** How a server is started. */
export interface ServerCommand {
  /** Program and arguments; the server must listen on this port of 127.0.0.1. */
  command(port: number): readonly [string, ...string[]];
  readonly environment?: Readonly<Record<string, string>>;
  /** Answers 200 once the server accepts requests. */
  readonly readyPath: string;
  /** Longest time until then. */
  readonly readyTimeoutMs?: number;
}

const defaultReadyTimeoutMs = 60_000;
const stopTimeoutMs = 10_000;
const pollMs = 50;
const keptOutput = 4000;

const running = new Set<ServerProcess>();

/** A server in a process group of its own, so that none of its processes is left behind. */
export class ServerProcess {
  readonly url: string;
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  #output = '';
  #hasEnded = false;

  private constructor(url: string, child: ChildProcess) {
    this.url = url;
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.#output = (this.#output + chunk).slice(-keptOutput);
      });
    }
    this.#ended = once(child, 'close').finally(() => {
      this.#hasEnded = true;
      running.delete(this);
    });
    // A program that does not start is reported by #ready.
    this.#ended.catch((error: unknown) => {
      this.#output += String(error);
    });
    running.add(this);
  }

  /** Resolves when the server accepts requests. @throws {Error} it exited, or took too long; the message has its last output */
  static async start(server: ServerCommand, signal?: AbortSignal): Promise<ServerProcess> {
    const { command, environment } = server;
    const port = await freePort();
    const [program, ...args] = command(port);
    const env = { ...ownEnvironment(), ...environment };
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true, env });
    const started = new ServerProcess(`http://127.0.0.1:${port}`, child);
    try {
      await started.#ready(server, signal);
    } catch (error) {
      await started.stop();
      throw error;
    }
    return started;
  }

  /** Whether the process has exited, for any reason. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** The last lines that it printed. */
  get lastOutput(): string {
    return this.#output.trim().split('\n').slice(-5).join('\n');
  }

  /** Stops the server, by force if it does not exit on SIGTERM. */
  async stop(): Promise<void> {
    if (this.#hasEnded) return;
    this.kill('SIGTERM');
    const timer = new AbortController();
    const isLate = setTimeout(stopTimeoutMs, true, { signal: timer.signal }).catch(() => false);
    if ((await Promise.race([this.#ended.then(() => false), isLate])) === true) this.kill('SIGKILL');
    timer.abort();
    await this.#ended.catch(() => {});
  }

  kill(signal: NodeJS.Signals): void {
    if (this.#child.pid === undefined) return;
    try {
      process.kill(-this.#child.pid, signal);
    } catch {
      // The whole group has exited already.
    }
  }

  async #ready(
    { readyPath, readyTimeoutMs = defaultReadyTimeoutMs }: ServerCommand,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const deadline = performance.now() + readyTimeoutMs;
    while (performance.now() < deadline) {
      signal?.throwIfAborted();
      if (this.#hasEnded) throw new Error(`exited before it was ready: ${this.lastOutput}`);
      const response = await fetch(this.url + readyPath, { signal: AbortSignal.timeout(5000) }).catch(() => undefined);
      await response?.body?.cancel();
      if (response?.ok) return;
      await Promise.race([setTimeout(pollMs), this.#ended.catch(() => {})]);
    }
    throw new Error(`not ready after ${readyTimeoutMs / 1000} s: ${this.lastOutput}`);
  }
}

/** Kills every server. */
export function killServers(): void {
  for (const server of running) server.kill('SIGKILL');
}

// No server outlives this process, however it ends.
process.on('exit', killServers);

/** The environment without Weft's settings, which would change how the servers run. The cache folder is kept. */
function ownEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('WEFT_') || name === 'WEFT_CACHE_DIR');
  return Object.fromEntries(kept);
}

/** A free port of 127.0.0.1. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port is free');
  return address.port;
}
