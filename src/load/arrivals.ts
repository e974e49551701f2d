import { setTimeout } from 'node:timers/promises';
import type { GenerateClient, LoadRequest, RequestTrace } from './generate-client.ts';
import { seededRandom } from './seeded-random.ts';

/** What is sent, and for how long. */
export interface LoadPlan {
  readonly client: GenerateClient;
  readonly durationMs: number;
  /** The n-th request of the load. */
  request(n: number): LoadRequest;
  /** Called with every request that has ended. */
  onTrace?(trace: RequestTrace): void;
  /** Sends no more; what is under way is for the client to cut. */
  readonly signal?: AbortSignal;
}

/** Clients that each send their next request when the last one is answered. @returns what was answered, in the order of its end */
export async function closedLoop(plan: LoadPlan, numClients: number): Promise<RequestTrace[]> {
  const traces: RequestTrace[] = [];
  const end = performance.now() + plan.durationMs;
  let numSent = 0;
  const runClient = async () => {
    while (performance.now() < end && !plan.signal?.aborted) await sendOne(plan, numSent++, traces);
  };
  await Promise.all(Array.from({ length: numClients }, runClient));
  return traces;
}

/** Requests that arrive whether or not earlier ones are answered. */
export interface OpenLoop {
  /** Times of arrival, ascending (ms since the load began). */
  readonly arrivalsMs: readonly number[];
}

export async function openLoop(plan: LoadPlan, { arrivalsMs }: OpenLoop): Promise<RequestTrace[]> {
  const traces: RequestTrace[] = [];
  const start = performance.now();
  const pending: Promise<void>[] = [];
  for (const [n, arrivalMs] of arrivalsMs.entries()) {
    const waitMs = start + arrivalMs - performance.now();
    if (waitMs > 0) await setTimeout(waitMs, undefined, { signal: plan.signal }).catch(() => {});
    if (plan.signal?.aborted) break;
    pending.push(sendOne(plan, n, traces));
  }
  await Promise.all(pending);
  return traces;
}

async function sendOne(plan: LoadPlan, n: number, traces: RequestTrace[]): Promise<void> {
  const trace = await plan.client.send(plan.request(n));
  traces.push(trace);
  plan.onTrace?.(trace);
}

/** Arrivals without memory, so many a second on average. */
export function poissonArrivals(perSecond: number, durationMs: number, seed: number): number[] {
  const random = seededRandom(seed);
  const arrivals: number[] = [];
  for (let at = gap(); at < durationMs; at += gap()) arrivals.push(at);
  return arrivals;

  function gap(): number {
    return (-Math.log(1 - random()) * 1000) / perSecond;
  }
}

/** So many at once, again and again. */
export function burstArrivals(size: number, everyMs: number, durationMs: number): number[] {
  const numBursts = Math.ceil(durationMs / everyMs);
  return Array.from({ length: numBursts * size }, (_, i) => Math.floor(i / size) * everyMs);
}
