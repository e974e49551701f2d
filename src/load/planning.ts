/** The time of a batch of b requests: `fixedMs + perRequestMs · b`. The source of these functions is also embedded in a web page. */
export interface ServiceTime {
  readonly fixedMs: number;
  readonly perRequestMs: number;
}

/** The time of a batch: a + c·b. */
export function serviceTimeMs({ fixedMs, perRequestMs }: ServiceTime, batchSize: number): number {
  return fixedMs + perRequestMs * batchSize;
}

/** The longest latency: the first request of a batch waits for the whole timeout, then for the batch. */
export function worstCaseMs(service: ServiceTime, batchSize: number, timeoutMs: number): number {
  return timeoutMs + service.fixedMs + service.perRequestMs * batchSize;
}

/** Requests per second when full batches follow each other: b / (a + c·b). */
export function fullRate(service: ServiceTime, batchSize: number): number {
  return (1000 * batchSize) / (service.fixedMs + service.perRequestMs * batchSize);
}

/** Requests per second that an instance should get: workers / service time · cap. */
export function safeRate(serviceMs: number, workers: number, cap: number): number {
  return ((1000 * workers) / serviceMs) * cap;
}

/** Instances needed for a rate with headroom: ⌈target · (1 + headroom) / rate per instance⌉. */
export function instancesFor(targetRate: number, headroom: number, ratePerInstance: number): number {
  return Math.ceil((targetRate * (1 + headroom)) / ratePerInstance);
}

/** A batch size and a timeout that keep a latency limit at a given rate. */
export interface Tuning {
  readonly batchSize: number;
  readonly timeoutMs: number;
  readonly worstCaseMs: number;
  readonly fullRate: number;
}

/**
 * The smallest batch size that handles the rate with 5 % to spare, because the queue of a fully busy server grows without bound. The timeout
 * is the time in which such a batch fills, or less if the limit requires it. Returns undefined if no batch size works.
 */
export function tune(
  service: ServiceTime,
  { limitMs, rate, maxBatchSize }: { readonly limitMs: number; readonly rate: number; readonly maxBatchSize: number },
): Tuning | undefined {
  for (let batchSize = 1; batchSize <= maxBatchSize; batchSize++) {
    const serviceMs = serviceTimeMs(service, batchSize);
    if (serviceMs > limitMs) return undefined;
    if (fullRate(service, batchSize) < 1.05 * rate) continue;
    const timeoutMs = Math.min((1000 * (batchSize - 1)) / rate, limitMs - serviceMs);
    return { batchSize, timeoutMs, worstCaseMs: timeoutMs + serviceMs, fullRate: fullRate(service, batchSize) };
  }
  return undefined;
}
