import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const cli = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

/**
 * The environment without the developer's own Weft settings and without the variables that shells and npm set.
 * The cache folder of the tests stays: see vitest.config.ts.
 */
function inherited(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(WEFT_(?!CACHE_DIR$)|npm_|_$)/.test(name));
  return Object.fromEntries(kept);
}

/** How a process ended and what it printed. */
export interface Ended {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A program and its arguments. */
export type Command = readonly [program: string, ...args: string[]];

/** How to run a program. Its environment variables are added to those of the tests. */
export interface RunOptions {
  readonly environment?: Readonly<Record<string, string>>;
  readonly folder?: string | undefined;
  /** Whether it leads its own process group. */
  readonly detached?: boolean;
}

/** A program running in a child process. */
export class RunningProgram {
  readonly #child: ChildProcess;
  readonly #ended: Promise<Ended>;
  #stdout = '';
  #stderr = '';

  constructor([program, ...args]: Command, { environment, folder, detached = false }: RunOptions = {}) {
    const child = spawn(program, args, {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...inherited(), ...environment },
      detached,
    });
    child.stdout.on('data', (chunk: Buffer) => {
      this.#stdout += chunk;
    });
    child.stderr.on('data', (chunk: Buffer) => {
      this.#stderr += chunk;
    });
    this.#child = child;
    this.#ended = once(child, 'close').then(([exitCode]) => ({ exitCode, stdout: this.#stdout, stderr: this.#stderr }));
  }

  /** The process id. */
  get id(): number {
    if (this.#child.pid === undefined) throw new Error('the program could not be started');
    return this.#child.pid;
  }

  get stdout(): string {
    return this.#stdout;
  }

  /** Resolves when the process has exited or was killed by a signal. */
  get ended(): Promise<Ended> {
    return this.#ended;
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Resolves with the match once standard output matches. */
  async printed(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.#stdout);
      if (match !== null) return match;
      const next = await Promise.race([once(this.#child.stdout ?? this.#child, 'data'), this.#ended]);
      if (!Array.isArray(next)) throw new Error(`the program ended: ${next.stderr || next.stdout}`);
    }
  }
}

/** A `weft` command line, run by the same Node.js as the tests. */
export function weft(...args: readonly string[]): Command {
  return [process.execPath, cli, ...args];
}

/** The built `weft` in a child process. */
export class WeftProcess extends RunningProgram {
  constructor(args: readonly string[], environment: Readonly<Record<string, string>> = {}, folder?: string) {
    super(weft(...args), { environment, folder });
  }
}

const preloading = (file: string) => ({ NODE_OPTIONS: `--import=${new URL(file, import.meta.url)}` });

/** Environment for a server with slow steps: a story of 400 tokens takes four seconds, so that a test can act meanwhile. */
export const slowSteps = preloading('slow-steps.mjs');

/** Environment for a server whose tenth step hangs. */
export const hangingStep = preloading('hanging-step.mjs');

/** Environment for a server that never finishes tokenizing texts of more than 2 KiB. */
export const stuckTokenizer = preloading('stuck-tokenizer.mjs');

/** Environment for a server some of whose steps fail. */
export const failingSteps = preloading('failing-steps.mjs');

/** The built `weft serve` on a free port. */
export class ServerProcess extends WeftProcess {
  readonly url: Promise<string>;

  constructor(args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
    super(['serve', '--port', '0', ...args], environment);
    this.url = this.printed(/address\s+(http:\S+)\n/).then(([, url = '']) => url);
  }

  /** Stops the server as an operator would. */
  async stop(): Promise<Ended> {
    this.kill('SIGTERM');
    return this.ended;
  }
}
