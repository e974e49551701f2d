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
export interface Stoppable {
  readonly engine: LlmEngine;
  readonly server: HttpServer;
  readonly drainTimeoutMs: number;
}

/**
 * On SIGTERM or SIGINT: takes nothing new, lets what was accepted finish until the deadline, ends the rest with an error,
 * frees the engine and exits with 0. A second signal exits at once, unless it is the first one again.
 */
export function stopOnSignals(stoppable: Stoppable): void {
  const { engine, server, drainTimeoutMs } = stoppable;
  let stoppingSince: number | undefined;
  for (const signal of signals) {
    process.on(signal, () => {
      if (stoppingSince !== undefined) {
        if (performance.now() - stoppingSince > sameSignalMs) process.exit(interrupted);
        return;
      }
      stoppingSince = performance.now();
      const { numRunning, numWaiting } = engine.stats();
      server.app.log.info(`${signal}: finishing ${numRunning + numWaiting} requests, for at most ${drainTimeoutMs} ms`);
      stop(stoppable).then(
        () => process.exit(0),
        (error: unknown) => {
          server.app.log.fatal(error);
          process.exit(1);
        },
      );
    });
  }
}

/** The engine has met a defect and computes nothing more: whoever is connected is told, and the process ends with 1, to be started anew. */
export function stopAfterDefect(defect: unknown, stoppable: Stoppable): void {
  stoppable.server.app.log.fatal(defect);
  stop(stoppable).finally(() => process.exit(1));
}

async function stop({ engine, server, drainTimeoutMs }: Stoppable): Promise<void> {
  const deadline = new Promise<'late'>((resolve) => {
    setTimeout(() => resolve('late'), drainTimeoutMs).unref();
  });
  await Promise.race([engine.drain(), deadline]);
  await engine.dispose();
  const closed = server.app.close();
  // Answers that a slow client is still reading may go on until the deadline; then their connections are cut.
  server.connections.close();
  if ((await Promise.race([closed, deadline])) === 'late') server.connections.cut();
  await closed;
}
