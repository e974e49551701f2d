/** A server that computes b requests at once in `fixedMs + perRequestMs · b`. These functions are also put into a page, as they are. */
export interface ServiceTime {
  readonly fixedMs: number;
  readonly perRequestMs: number;
}

/** What a batch takes: a + c·b. */
export function serviceTimeMs({ fixedMs, perRequestMs }: ServiceTime, batchSize: number): number {
  return fixedMs + perRequestMs * batchSize;
}

/** What a request takes that comes first into a batch: it waits for the whole timeout, and then for the batch. */
export function worstCaseMs(service: ServiceTime, batchSize: number, timeoutMs: number): number {
  return timeoutMs + service.fixedMs + service.perRequestMs * batchSize;
}

/** Requests a second of full batches, one after the other: b / (a + c·b). */
export function fullRate(service: ServiceTime, batchSize: number): number {
  return (1000 * batchSize) / (service.fixedMs + service.perRequestMs * batchSize);
}

/** Requests a second that an instance of some workers should be given: workers / service time · cap. */
export function safeRate(serviceMs: number, workers: number, cap: number): number {
  return ((1000 * workers) / serviceMs) * cap;
}

/** Instances for a rate with headroom: ⌈target · (1 + headroom) / rate of one⌉. */
export function instancesFor(targetRate: number, headroom: number, ratePerInstance: number): number {
  return Math.ceil((targetRate * (1 + headroom)) / ratePerInstance);
}

/** A batch size and a timeout that keep a limit at a rate. */
export interface Tuning {
  readonly batchSize: number;
  readonly timeoutMs: number;
  readonly worstCaseMs: number;
  readonly fullRate: number;
}

/**
 * The smallest batch whose rate suffices with a twentieth to spare, since a server that is always busy has a queue without end; with the
 * timeout in which it fills at that rate, or what the limit leaves of it.
 * @returns undefined if there is none
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
