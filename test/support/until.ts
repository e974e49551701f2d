import { setImmediate } from 'node:timers/promises';

/** Resolves when something that no event tells of has come true. */
export async function until(condition: () => Promise<boolean>): Promise<void> {
  const giveUpAt = performance.now() + patienceMs;
  while (!(await condition())) {
    if (performance.now() > giveUpAt) throw new Error(`it has not come true in ${patienceMs} ms: ${condition}`);
    await setImmediate();
  }
}

const patienceMs = 120_000;
