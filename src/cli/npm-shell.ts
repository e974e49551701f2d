import { readFileSync } from 'node:fs';

const pollMs = 250;

/**
 * Calls back when the shell has ended in which npm, pnpm or npx runs this program. They pass SIGTERM on to that shell only, and dash ends
 * without passing it further (docs/decisions/0011). Linux only: elsewhere nothing is watched.
 * @returns stops watching
 */
export function watchNpmShell(
  environment: Readonly<Record<string, string | undefined>>,
  onEnd: () => void,
): () => void {
  const shell = process.ppid;
  if (!isShellOf(shell, environment.npm_lifecycle_script)) return () => {};
  let isWatched = true;
  const timer = setInterval(() => {
    if (process.ppid === shell) return;
    clearInterval(timer);
    // A signal that was sent at the same time is handled first.
    setImmediate(() => {
      if (isWatched) onEnd();
    });
  }, pollMs);
  timer.unref();
  return () => {
    isWatched = false;
  };
}

/** Whether a process is a shell that runs this script, with nothing of it in the background: that is meant to outlive the shell. */
function isShellOf(processId: number, script: string | undefined): boolean {
  if (script === undefined || /(?<![&>])&(?![&>])/.test(script)) return false;
  try {
    const [, flag, command = ''] = readFileSync(`/proc/${processId}/cmdline`, 'utf8').split('\0');
    return flag === '-c' && command.startsWith(script);
  } catch {
    return false;
  }
}
