import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { watchNpmShell } from '../../../src/cli/npm-shell.ts';

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const minuteMs = 60_000;

/** A shell that runs a script until its input ends. */
async function shellWith(script: string): Promise<ChildProcess> {
  const shell = spawn('sh', ['-c', script]);
  onTestFinished(() => void shell.kill('SIGKILL'));
  await once(shell, 'spawn');
  return shell;
}

/** Watches while this process's parent changes from `parent` to init. @returns whether the change was noticed */
async function noticesEndOf(
  parent: ChildProcess,
  script: string | undefined,
  meanwhile: (stop: () => void) => void = () => {},
): Promise<boolean> {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const parentId = vi.spyOn(process, 'ppid', 'get').mockReturnValue(parent.pid ?? 0);
  const onEnd = vi.fn();
  const stop = watchNpmShell({ npm_lifecycle_script: script }, onEnd);
  vi.advanceTimersByTime(minuteMs);
  await setImmediate();
  expect(onEnd).not.toHaveBeenCalled();
  parentId.mockReturnValue(1);
  vi.advanceTimersByTime(minuteMs);
  meanwhile(stop);
  await setImmediate();
  return onEnd.mock.calls.length === 1;
}

describe.skipIf(process.platform !== 'linux')('the end of the shell of npm', () => {
  test.each([
    ['read line', 'read line'],
    ['read line; true --port 9000', 'read line; true'],
    ['true && read line 2>&1', 'true && read line 2>&1'],
  ])('is noticed: sh -c "%s" for the script "%s"', async (command, script) => {
    expect(await noticesEndOf(await shellWith(command), script)).toBe(true);
  });

  test.each([
    ['of another program', 'read line', undefined],
    ['of a shell that runs something else', 'read line', 'weft serve'],
    ['of a shell that leaves something in the background', 'true & read line', 'true & read line'],
  ])('is none if it is the end %s', async (_, command, script) => {
    expect(await noticesEndOf(await shellWith(command), script)).toBe(false);
  });

  test('means nothing if a signal comes with it', async () => {
    expect(await noticesEndOf(await shellWith('read line'), 'read line', (stop) => stop())).toBe(false);
  });
});
