import { setImmediate } from 'node:timers/promises';

/** Polls until a condition holds. It is meant for conditions that no event announces. */
export async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`this did not come true within ${timeoutMs} ms: ${condition}`);
    await setImmediate();
  }
}

const timeoutMs = 120_000;
