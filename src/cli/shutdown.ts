import { setTimeout } from 'node:timers/promises';
import { inspect } from 'node:util';
import { exitNow } from '../engine/index.ts';
import { removeUnfinishedBuilds } from '../files/index.ts';
import type { LlmEngine } from '../llm/index.ts';
import type { HttpServer } from '../server/index.ts';

const signals = ['SIGTERM', 'SIGINT'] as const;
const interrupted = 130;
/** npm and npx pass on a Ctrl-C that the terminal has sent to this process, too. */
const sameSignalMs = 1000;

/** While there is nothing to finish: a signal ends the process at once, and takes along what it was building. @returns undoes it */
export function endAtOnceOnSignals(): () => void {
  const end = () => {
    removeUnfinishedBuilds();
    process.exit(interrupted);
  };
  for (const signal of signals) process.once(signal, end);
  return () => {
    for (const signal of signals) process.off(signal, end);
  };
}

/** What is running, and how long it may go on once it is to stop. */
interface Stoppable {
  readonly engine: LlmEngine;
  readonly server: HttpServer;
  readonly drainTimeoutMs: number;
}

/** Ends what is running, once, whatever asks for it, and then the process. */
export class Shutdown {
  readonly #stoppable: Stoppable;
  #isStopping = false;
  #signalledAtMs: number | undefined;

  constructor(stoppable: Stoppable) {
    this.#stoppable = stoppable;
  }

  /**
   * On SIGTERM or SIGINT: takes nothing new, lets what was accepted finish until the deadline, ends the rest with an error,
   * frees the engine and exits with 0. A second signal exits at once, unless it is the first one again.
   */
  onSignals(): void {
    for (const signal of signals) process.on(signal, () => this.#onSignal(signal));
  }

  /** The engine computes nothing more, and has told everybody: exits with 1, so that whoever watches starts the server anew. */
  onDefect(defect: unknown): void {
    const { log } = this.#stoppable.server.app;
    if (log.level === 'silent') process.stderr.write(`${inspect(defect)}\n`);
    log.fatal(defect);
    process.exitCode = 1;
    this.#stop();
  }

  #onSignal(signal: NodeJS.Signals): void {
    if (this.#signalledAtMs !== undefined) {
      if (performance.now() - this.#signalledAtMs > sameSignalMs) process.exit(interrupted);
      return;
    }
    this.#signalledAtMs = performance.now();
    const { engine, server, drainTimeoutMs } = this.#stoppable;
    const { numRunning, numWaiting } = engine.stats();
    server.app.log.info(`${signal}: finishing ${numRunning + numWaiting} requests, for at most ${drainTimeoutMs} ms`);
    this.#stop();
  }

  #stop(): void {
    if (this.#isStopping) return;
    this.#isStopping = true;
    const { log } = this.#stoppable.server.app;
    stop(this.#stoppable)
      .catch((error: unknown) => {
        log.fatal(error);
        process.exitCode = 1;
        return true;
      })
      .then((isFree) => {
        if (isFree) process.exit();
        // The log writes in the background, and would lose the line.
        process.stderr.write('weft: the step in flight does not end; the process ends without it\n');
        exitNow(1);
      });
  }
}

/** How long, after the deadline, a client has to take its last bytes and the step in flight to end. */
const graceMs = 2000;

/** @returns whether the engine is free; if not, a step of it does not end */
async function stop({ engine, server, drainTimeoutMs }: Stoppable): Promise<boolean> {
  const deadline = after(drainTimeoutMs);
  await endsBefore(deadline, engine.drain());
  const grace = after(graceMs);
  const disposed = engine.dispose();
  const closed = server.app.close();
  // Answers that a slow client is still reading may go on until the deadline; then their connections are cut.
  server.connections.close();
  if (!(await endsBefore(Promise.all([deadline, grace]), closed))) server.connections.cut();
  await closed;
  return endsBefore(grace, disposed);
}

async function after(ms: number): Promise<unknown> {
  return setTimeout(ms, undefined, { ref: false });
}

async function endsBefore(limit: Promise<unknown>, work: Promise<unknown>): Promise<boolean> {
  return Promise.race([work.then(() => true), limit.then(() => false)]);
}
