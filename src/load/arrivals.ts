import { setTimeout } from 'node:timers/promises';
import type { GenerateClient, LoadRequest, RequestTrace } from './generate-client.ts';
import { seededRandom } from './seeded-random.ts';

/** What to send, and for how long. */
export interface LoadPlan {
  readonly client: GenerateClient;
  readonly durationMs: number;
  /** The n-th request of the load. */
  request(n: number): LoadRequest;
  /** Stops sending. Requests in flight are up to the client. */
  readonly signal?: AbortSignal;
}

/** The pause after a failed request, so that a dead server does not keep the cores busy. */
const retryMs = 20;

/** Runs clients that each send their next request once the last one is answered. @returns the traces, in the order in which they ended */
export async function closedLoop(plan: LoadPlan, numClients: number): Promise<RequestTrace[]> {
  const traces: RequestTrace[] = [];
  const end = performance.now() + plan.durationMs;
  let numSent = 0;
  const runClient = async () => {
    while (performance.now() < end && !plan.signal?.aborted) {
      const { error } = await sendOne(plan, numSent++, traces);
      if (error !== undefined) await setTimeout(retryMs);
    }
  };
  await Promise.all(Array.from({ length: numClients }, runClient));
  return traces;
}

/**
 * Sends requests whether or not earlier ones are answered.
 * @param arrivalsMs times since the start, ascending
 */
export async function openLoop(plan: LoadPlan, arrivalsMs: readonly number[]): Promise<RequestTrace[]> {
  const traces: RequestTrace[] = [];
  const start = performance.now();
  const pending: Promise<unknown>[] = [];
  for (const [n, arrivalMs] of arrivalsMs.entries()) {
    const waitMs = start + arrivalMs - performance.now();
    if (waitMs > 0) await setTimeout(waitMs, undefined, { signal: plan.signal }).catch(() => {});
    if (plan.signal?.aborted) break;
    pending.push(sendOne(plan, n, traces, start + arrivalMs));
  }
  await Promise.all(pending);
  return traces;
}

async function sendOne(plan: LoadPlan, n: number, traces: RequestTrace[], plannedAtMs?: number): Promise<RequestTrace> {
  const trace = await plan.client.send(plan.request(n), plannedAtMs);
  traces.push(trace);
  return trace;
}

/** The arrivals of a Poisson process, conditioned on their number, so that the rate is exact. */
export function poissonArrivals(perSecond: number, durationMs: number, seed: number): number[] {
  const random = seededRandom(seed);
  const count = Math.round((perSecond * durationMs) / 1000);
  return Array.from({ length: count }, () => random() * durationMs).sort((a, b) => a - b);
}

/** Bursts of simultaneous arrivals at regular intervals. */
export function burstArrivals(size: number, everyMs: number, durationMs: number): number[] {
  const numBursts = Math.ceil(durationMs / everyMs);
  return Array.from({ length: numBursts * size }, (_, i) => Math.floor(i / size) * everyMs);
}
