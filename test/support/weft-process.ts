import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const cli = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

/** Without the settings of who runs the tests; the cache is that of the tests (see vitest.config.ts). */
function inherited(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('WEFT_') || name === 'WEFT_CACHE_DIR');
  return Object.fromEntries(kept);
}

/** How a process ended, and what it wrote. */
export interface Ended {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A real `weft` in a process of its own. */
export class WeftProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<Ended>;
  #stdout = '';
  #stderr = '';

  constructor(args: readonly string[], environment: Readonly<Record<string, string>> = {}, folder?: string) {
    const child = spawn(process.execPath, [cli, ...args], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...inherited(), ...environment },
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

  get stdout(): string {
    return this.#stdout;
  }

  /** Resolves when the process has ended by itself or by a signal. */
  get ended(): Promise<Ended> {
    return this.#ended;
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Resolves with the match when standard output matches. */
  async printed(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.#stdout);
      if (match !== null) return match;
      const next = await Promise.race([once(this.#child.stdout ?? this.#child, 'data'), this.#ended]);
      if (!Array.isArray(next)) throw new Error(`weft ended: ${next.stderr || next.stdout}`);
    }
  }
}

const preloading = (file: string) => ({ NODE_OPTIONS: `--import=${new URL(file, import.meta.url)}` });

/** In the environment of a server: a story of 400 tokens takes four seconds, in which a test can do something beside it. */
export const slowSteps = preloading('slow-steps.mjs');

/** In the environment of a server: its tenth step hangs. */
export const hangingStep = preloading('hanging-step.mjs');

/** In the environment of a server: texts of more than 2 kB are never tokenized. */
export const stuckTokenizer = preloading('stuck-tokenizer.mjs');

/** In the environment of a server: some of its steps fail. */
export const failingSteps = preloading('failing-steps.mjs');

/** A real `weft serve` on a free port. */
export class ServerProcess extends WeftProcess {
  readonly url: Promise<string>;

  constructor(args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
    super(['serve', '--port', '0', ...args], environment);
    this.url = this.printed(/address\s+(http:\S+)\n/).then(([, url = '']) => url);
  }

  /** Ends it as an operator would. */
  async stop(): Promise<Ended> {
    this.kill('SIGTERM');
    return this.ended;
  }
}
