import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { UserError } from '../core/index.ts';

const main = fileURLToPath(new URL('main.js', import.meta.url));

/** A `weft serve` in a process of its own, on a free port. It does not outlive this one. */
export class ChildServer {
  readonly url: string;
  readonly #child: ChildProcess;

  private constructor(url: string, child: ChildProcess) {
    this.url = url;
    this.#child = child;
  }

  /** @param args of `weft serve` @throws {UserError} it did not start; the message is its own */
  static async start(args: readonly string[]): Promise<ChildServer> {
    const own = ['--port', '0', '--host', '127.0.0.1', '--log-level', 'error'];
    const child = spawn(process.execPath, [main, 'serve', ...args, ...own], { stdio: ['ignore', 'pipe', 'pipe'] });
    const kill = () => child.kill('SIGKILL');
    process.on('exit', kill);
    const ended = once(child, 'close').then(() => undefined);
    void ended.then(() => process.off('exit', kill));
    let printed = '';
    let complained = '';
    child.stderr.on('data', (chunk: Buffer) => {
      complained += chunk;
    });
    for (;;) {
      const [, url] = /address\s+(http:\S+)\n/.exec(printed) ?? [];
      if (url !== undefined) return new ChildServer(url, child);
      const next = await Promise.race([once(child.stdout, 'data'), ended]);
      if (next === undefined)
        throw new UserError(complained.trim().replace(/^weft: /, '') || 'the server did not start');
      printed += next;
    }
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    this.#child.kill('SIGTERM');
    await once(this.#child, 'close');
  }
}
