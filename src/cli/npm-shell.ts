import { readFileSync } from 'node:fs';

const pollMs = 250;

/**
 * Calls back when the shell exits in which npm, pnpm or npx runs this program. They forward SIGTERM to that shell only, and dash exits
 * without forwarding it (docs/decisions/0011). Linux only; elsewhere this does nothing.
 * @returns a function that stops watching
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
    // A signal that arrived at the same time is handled first.
    setImmediate(() => {
      if (isWatched) onEnd();
    });
  }, pollMs);
  timer.unref();
  return () => {
    isWatched = false;
  };
}

/** Whether a process is a shell that runs this script, and the script puts nothing into the background, where it may outlive the shell. */
function isShellOf(processId: number, script: string | undefined): boolean {
  if (script === undefined || /(?<![&>])&(?![&>])/.test(script)) return false;
  try {
    const [, flag, command = ''] = readFileSync(`/proc/${processId}/cmdline`, 'utf8').split('\0');
    return flag === '-c' && command.startsWith(script);
  } catch {
    return false;
  }
}
