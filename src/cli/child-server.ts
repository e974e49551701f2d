import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { UserError } from '../core/index.ts';

const main = fileURLToPath(new URL('main.js', import.meta.url));

/** A `weft serve` in a process of its own, on a free port. It does not outlive this one. */
export class ChildServer {
  readonly #child: ChildProcess;
  readonly #ended: Promise<undefined>;
  #printed = '';
  #complained = '';
  #hasEnded = false;

  private constructor(args: readonly string[]) {
    // What it is to be stands in its arguments: settings of the environment would be others.
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('WEFT_')));
    const own = ['--port', '0', '--host', '127.0.0.1', '--log-level', 'error'];
    const child = spawn(process.execPath, [main, 'serve', ...args, ...own], { stdio: ['ignore', 'pipe', 'pipe'], env });
    child.stdout.on('data', (chunk: Buffer) => {
      this.#printed += chunk;
    });
    child.stderr.on('data', (chunk: Buffer) => {
      this.#complained += chunk;
    });
    const kill = () => child.kill('SIGKILL');
    process.on('exit', kill);
    this.#child = child;
    this.#ended = once(child, 'close')
      .catch((error: unknown) => {
        this.#complained += String(error);
      })
      .then(() => {
        this.#hasEnded = true;
        process.off('exit', kill);
        return undefined;
      });
  }

  /** @param args of `weft serve` @throws {UserError} it did not start; the message is its own */
  static async start(args: readonly string[]): Promise<ChildServer> {
    const server = new ChildServer(args);
    while (server.url === '') {
      server.expectAlive();
      await Promise.race([once(server.#child.stdout ?? server.#child, 'data'), server.#ended]);
    }
    return server;
  }

  get url(): string {
    return /address\s+(http:\S+)\n/.exec(this.#printed)?.[1] ?? '';
  }

  /** @throws {UserError} it has ended; the message is its own */
  expectAlive(): void {
    if (!this.#hasEnded) return;
    const { exitCode, signalCode } = this.#child;
    const how = signalCode ?? `exit code ${exitCode}`;
    // Libraries may have complained in front of it.
    const own = /^weft: (.*)$/m.exec(this.#complained)?.[1];
    throw new UserError((own ?? this.#complained.trim()) || `the server ended with ${how}`);
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGTERM');
    await this.#ended;
  }
}
