import path from 'node:path';
import { isatty } from 'node:tty';
import { removeUnfinishedBuilds } from '../files/index.ts';
import { watchNpmShell } from './npm-shell.ts';

/** The signals that ask Weft to end, each with the exit code that a shell gives it. */
export const exitCodes = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
export type StopSignal = keyof typeof exitCodes;

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Listens for signals from the start of the process to its end. Until someone takes over, a signal ends the process at once, and removes
 * what it was building.
 */
export class StopSignals {
  #onSignal: (signal: StopSignal) => void = endAtOnce;

  constructor(environment: Environment) {
    const stopWatching = watchNpmShell(environment, () => this.#onSignal('SIGTERM'));
    for (const signal of Object.keys(exitCodes) as StopSignal[]) {
      process.on(signal, () => {
        if (signal === 'SIGHUP' && isUnderNohup(environment)) return;
        // Signals often go to a whole group of processes. Then the shell of npm ends too, which asks for nothing more.
        stopWatching();
        this.#onSignal(signal);
      });
    }
    const terminals = [0, 1, 2].filter((file) => isatty(file));
    process.on('exit', () => {
      if (!terminals.every((file) => isatty(file))) endByHangup();
    });
  }

  /** From now on this is called for every signal. There is no moment without a listener. */
  handOver(onSignal: (signal: StopSignal) => void): void {
    this.#onSignal = onSignal;
  }
}

function endAtOnce(signal: StopSignal): void {
  removeUnfinishedBuilds();
  process.exit(exitCodes[signal]);
}

/** Node 20 and 22 abort with a stack when they exit after their terminal has gone; the signal itself ends them quietly. */
function endByHangup(): void {
  process.removeAllListeners('SIGHUP');
  process.kill(process.pid, 'SIGHUP');
}

/** nohup ignores SIGHUP, but Node undoes that when it starts. Shells leave the path of the program that they started. */
function isUnderNohup({ _: program = '' }: Environment): boolean {
  return path.basename(program) === 'nohup';
}
