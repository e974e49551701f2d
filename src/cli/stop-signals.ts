import path from 'node:path';
import { isatty } from 'node:tty';
import { removeUnfinishedBuilds } from '../files/index.ts';
import { watchNpmShell } from './npm-shell.ts';

/** The signals that stop Weft, with the exit codes that shells use for them. */
export const exitCodes = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
export type StopSignal = keyof typeof exitCodes;

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Listens for signals from the start of the process to its end. Until a handler takes over, a signal ends the process at once, after
 * removing unfinished files.
 */
export class StopSignals {
  #onSignal: (signal: StopSignal) => void = endAtOnce;

  constructor(environment: Environment) {
    const stopWatching = watchNpmShell(environment, () => this.#onSignal('SIGTERM'));
    for (const signal of Object.keys(exitCodes) as StopSignal[]) {
      process.on(signal, () => {
        if (signal === 'SIGHUP' && isUnderNohup(environment)) return;
        // Signals often go to a whole process group. Then npm's shell exits too, which is not another request to stop.
        stopWatching();
        this.#onSignal(signal);
      });
    }
    const terminals = [0, 1, 2].filter((file) => isatty(file));
    process.on('exit', () => {
      if (!terminals.every((file) => isatty(file))) endByHangup();
    });
  }

  /** Calls `onSignal` for every signal from now on. No signal is lost in between. */
  handOver(onSignal: (signal: StopSignal) => void): void {
    this.#onSignal = onSignal;
  }
}

function endAtOnce(signal: StopSignal): void {
  removeUnfinishedBuilds();
  process.exit(exitCodes[signal]);
}

/** Node 20 and 22 crash with a stack trace when they exit without their terminal. Ending by the signal is quiet. */
function endByHangup(): void {
  process.removeAllListeners('SIGHUP');
  process.kill(process.pid, 'SIGHUP');
}

/** nohup ignores SIGHUP, but Node undoes that at start. Shells set `_` to the path of the program that they started. */
function isUnderNohup({ _: program = '' }: Environment): boolean {
  return path.basename(program) === 'nohup';
}
