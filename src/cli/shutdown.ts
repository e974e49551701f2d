import { setTimeout } from 'node:timers/promises';
import { inspect } from 'node:util';
import type { ChatPrompts } from '../chat/index.ts';
import { UnavailableError } from '../core/index.ts';
import { exitNow } from '../engine/index.ts';
import type { LlmEngine } from '../llm/index.ts';
import type { HttpServer } from '../server/index.ts';
import { exitCodes, type StopSignal } from './stop-signals.ts';

/** npm and npx forward a Ctrl-C that the terminal has already sent to this process. */
const sameSignalMs = 1000;

/** What is running, and how long it may take to finish. */
interface Stoppable {
  readonly engine: LlmEngine;
  /** Undefined without a tokenizer. */
  readonly chat: ChatPrompts | undefined;
  readonly server: HttpServer;
  readonly drainTimeoutMs: number;
}

/** Stops the engine and the server once, for whatever reason, and then exits the process. */
export class Shutdown {
  readonly #stoppable: Stoppable;
  #isStopping = false;
  #cutDrainShort = () => {};
  readonly #drainCutShort = new Promise<void>((resolve) => {
    this.#cutDrainShort = resolve;
  });
  #signalledAtMs: number | undefined;

  constructor(stoppable: Stoppable) {
    this.#stoppable = stoppable;
  }

  /**
   * Refuses new requests and chats that are not rendered yet, lets accepted ones finish until the deadline, ends the rest with an error, frees the engine and exits with 0.
   * A second signal exits at once, unless it comes within a second of the first.
   */
  onSignal(signal: StopSignal): void {
    if (this.#signalledAtMs !== undefined) {
      if (performance.now() - this.#signalledAtMs > sameSignalMs) exitNow(exitCodes[signal]);
      return;
    }
    this.#signalledAtMs = performance.now();
    const { engine, server, drainTimeoutMs } = this.#stoppable;
    const { numRunning, numWaiting } = engine.stats();
    const numOpen = numRunning + numWaiting;
    const task = numOpen === 0 ? 'stopping' : `finishing ${numOpen} request${numOpen === 1 ? '' : 's'}`;
    server.app.log.info(`${signal}: ${task}, for at most ${drainTimeoutMs} ms`);
    this.#stop();
  }

  /** For a bug, after which the engine has ended every request and stopped. Exits with 1, so that a supervisor restarts the server. */
  onDefect(defect: unknown): void {
    this.#fail(defect);
    this.#stop();
  }

  /** For damage that forbids another step. Ends all open requests with an error, even during a shutdown, and exits with 1. */
  onDamage(problem: string): void {
    this.#fail(problem);
    this.#cutDrainShort();
    this.#stop();
  }

  #fail(reason: unknown): void {
    const { log } = this.#stoppable.server.app;
    if (log.level === 'silent') process.stderr.write(`${typeof reason === 'string' ? reason : inspect(reason)}\n`);
    log.fatal(reason);
    process.exitCode = 1;
  }

  #stop(): void {
    if (this.#isStopping) return;
    this.#isStopping = true;
    const { log } = this.#stoppable.server.app;
    stop(this.#stoppable, this.#drainCutShort)
      .then((isFree) => {
        if (!isFree) throw new Error('the step in flight does not end; exiting without it');
        process.exit();
      })
      .catch((error: unknown) => {
        log.fatal(error);
        exitNow(1);
      });
  }
}

/** How long after the deadline clients may take to read their last bytes, and the step in flight to end. */
const graceMs = 2000;

/** @returns whether the engine was freed; if not, a step does not end */
async function stop(
  { engine, chat, server, drainTimeoutMs }: Stoppable,
  drainCutShort: Promise<void>,
): Promise<boolean> {
  // The engine does not know of these chats, and would not accept them any more.
  const rendered = chat?.dispose(new UnavailableError());
  const deadline = Promise.race([setTimeout(drainTimeoutMs), drainCutShort]);
  await endsBefore(deadline, engine.drain());
  const grace = setTimeout(graceMs);
  const [isFree] = await Promise.all([
    endsBefore(grace, engine.dispose()),
    close(server, Promise.all([deadline, grace])),
    rendered,
  ]);
  return isFree;
}

/** Slow clients may finish reading until the limit. Then their connections are cut. */
async function close({ app, connections }: HttpServer, limit: Promise<unknown>): Promise<void> {
  const closed = app.close();
  connections.close();
  if (!(await endsBefore(limit, closed))) connections.cut();
  await closed;
}

async function endsBefore(limit: Promise<unknown>, work: PromiseLike<unknown>): Promise<boolean> {
  return Promise.race([work.then(() => true), limit.then(() => false)]);
}
