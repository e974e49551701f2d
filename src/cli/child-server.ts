import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { UserError } from '../core/index.ts';

const main = fileURLToPath(new URL('main.js', import.meta.url));

/** A `weft serve` in a child process, on a free port. It exits with this process at the latest. */
export class ChildServer {
  readonly #child: ChildProcess;
  readonly #ended: Promise<undefined>;
  #stdout = '';
  #stderr = '';
  #hasEnded = false;

  private constructor(args: readonly string[]) {
    // The arguments say everything. Settings in the environment would interfere.
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('WEFT_')));
    const own = ['--port', '0', '--host', '127.0.0.1', '--log-level', 'error'];
    const child = spawn(process.execPath, [main, 'serve', ...args, ...own], { stdio: ['ignore', 'pipe', 'pipe'], env });
    child.stdout.on('data', (chunk: Buffer) => {
      this.#stdout += chunk;
    });
    child.stderr.on('data', (chunk: Buffer) => {
      this.#stderr += chunk;
    });
    const kill = () => child.kill('SIGKILL');
    process.on('exit', kill);
    this.#child = child;
    this.#ended = once(child, 'close')
      .catch((error: unknown) => {
        this.#stderr += String(error);
      })
      .then(() => {
        this.#hasEnded = true;
        process.off('exit', kill);
        return undefined;
      });
  }

  /** @param args the arguments of `weft serve` @throws {UserError} the server did not start; the message is the server's own */
  static async start(args: readonly string[]): Promise<ChildServer> {
    const server = new ChildServer(args);
    while (server.url === '') {
      server.expectAlive();
      await Promise.race([once(server.#child.stdout ?? server.#child, 'data'), server.#ended]);
    }
    return server;
  }

  get url(): string {
    return /address\s+(http:\S+)\n/.exec(this.#stdout)?.[1] ?? '';
  }

  /** @throws {UserError} the server has exited; the message is the server's own */
  expectAlive(): void {
    if (!this.#hasEnded) return;
    const { exitCode, signalCode } = this.#child;
    const how = signalCode ?? `exit code ${exitCode}`;
    // Libraries may have printed something before it.
    const own = /^weft: (.*)$/m.exec(this.#stderr)?.[1];
    throw new UserError((own ?? this.#stderr.trim()) || `the server exited with ${how}`);
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGTERM');
    await this.#ended;
  }
}
