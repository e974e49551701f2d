import { setImmediate } from 'node:timers/promises';

/** Resolves when something that no event tells of has come true. */
export async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await setImmediate();
}
