import { setTimeout } from 'node:timers/promises';
import type { GenerateClient, LoadRequest, RequestTrace } from './generate-client.ts';
import { seededRandom } from './seeded-random.ts';

/** What is sent, and for how long. */
export interface LoadPlan {
  readonly client: GenerateClient;
  readonly durationMs: number;
  /** The n-th request of the load. */
  request(n: number): LoadRequest;
  /** Sends no more; what is under way is for the client to cut. */
  readonly signal?: AbortSignal;
}

/** A user who was refused tries again after this: a dead server is not to keep the cores busy. */
const retryMs = 20;

/** Clients that each send their next request when the last one is answered. @returns what was answered, in the order of its end */
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
 * Requests that arrive whether or not earlier ones are answered.
 * @param arrivalsMs ascending, since the load began
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

/** Arrivals without memory: a Poisson process of which it is known how many come, so that the rate is the one that was asked for. */
export function poissonArrivals(perSecond: number, durationMs: number, seed: number): number[] {
  const random = seededRandom(seed);
  const count = Math.round((perSecond * durationMs) / 1000);
  return Array.from({ length: count }, () => random() * durationMs).sort((a, b) => a - b);
}

/** So many at once, again and again. */
export function burstArrivals(size: number, everyMs: number, durationMs: number): number[] {
  const numBursts = Math.ceil(durationMs / everyMs);
  return Array.from({ length: numBursts * size }, (_, i) => Math.floor(i / size) * everyMs);
}
