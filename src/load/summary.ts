import type { RequestTrace } from './generate-client.ts';

/** A percentile by the nearest-rank method; NaN if there are no values. */
export function percentile(values: readonly number[], share: number): number {
  const ascending = [...values].sort((a, b) => a - b);
  return ascending[Math.max(0, Math.ceil(share * ascending.length) - 1)] ?? Number.NaN;
}

/** Milliseconds. */
export interface Percentiles {
  readonly p50: number;
  readonly p90: number;
  readonly p95: number;
  readonly p99: number;
}

export function percentiles(values: readonly number[]): Percentiles {
  const [p50, p90, p95, p99] = [0.5, 0.9, 0.95, 0.99].map((share) => percentile(values, share));
  const none = Number.NaN;
  return { p50: p50 ?? none, p90: p90 ?? none, p95: p95 ?? none, p99: p99 ?? none };
}

/** The limits that a request must keep to count as good, in milliseconds. */
export interface Slo {
  readonly ttftMs?: number;
  readonly e2elMs?: number;
}

/** The times of one request in milliseconds. Without streaming there are no times between tokens. */
export interface Latencies {
  /** From sending to the first token. */
  readonly ttft: number;
  /** Between consecutive tokens. */
  readonly itl: readonly number[];
  /** The mean time per token after the first. */
  readonly tpot: number | undefined;
  /** From sending to the end. */
  readonly e2el: number;
}

export function latenciesOf({ sentAtMs, endedAtMs, tokenAtMs, isStreamed }: RequestTrace): Latencies {
  if (!isStreamed) return { ttft: endedAtMs - sentAtMs, itl: [], tpot: undefined, e2el: endedAtMs - sentAtMs };
  const first = tokenAtMs[0] ?? endedAtMs;
  const last = tokenAtMs.at(-1) ?? endedAtMs;
  const itl = tokenAtMs.slice(1).map((at, i) => at - (tokenAtMs[i] ?? at));
  const tpot = itl.length > 0 ? (last - first) / itl.length : undefined;
  return { ttft: first - sentAtMs, itl, tpot, e2el: endedAtMs - sentAtMs };
}

export interface LoadSummary {
  readonly numRequests: number;
  readonly numErrors: number;
  readonly requestsPerSecond: number;
  readonly tokensPerSecond: number;
  /** Requests per second that kept the SLO; undefined without an SLO. */
  readonly goodput: number | undefined;
  readonly ttft: Percentiles;
  /** Whether the 95th percentile of TTFT belongs to a request that was still waiting when the window ended, so that the true value is higher. */
  readonly isTtftP95Open: boolean;
  readonly itl: Percentiles;
  readonly tpot: Percentiles;
  readonly e2el: Percentiles;
}

/** A part of a load run, in milliseconds on its clock. */
export interface Window {
  readonly fromMs: number;
  readonly toMs: number;
}

/**
 * Summarizes a window of a load run: the requests that ended in it, and the tokens that arrived in it, whether or not their request ended.
 * Requests that are still waiting at the end count among the latencies with the time they have waited so far. Without them, a server
 * would look faster the fewer requests it answers.
 */
export function summarize(traces: readonly RequestTrace[], window: Window, slo?: Slo): LoadSummary {
  const { fromMs, toMs } = window;
  const ended = traces.filter(({ endedAtMs }) => endedAtMs >= fromMs && endedAtMs < toMs);
  const whole = ended.filter(({ error }) => error === undefined);
  const latencies = whole.map(latenciesOf);
  const underWay = traces.filter(({ sentAtMs, endedAtMs }) => sentAtMs < toMs && endedAtMs >= toMs);
  const withoutToken = underWay.filter(({ tokenAtMs: [first = toMs] }) => first >= toMs);
  const waitedMs = ({ sentAtMs }: RequestTrace) => toMs - sentAtMs;
  const waits = withoutToken.map(waitedMs);
  const ttft = percentiles([...latencies.map((each) => each.ttft), ...waits]);
  const seconds = (toMs - fromMs) / 1000;
  return {
    numRequests: whole.length,
    numErrors: ended.length - whole.length,
    ...ratesOf(traces, whole, window),
    goodput: slo && latencies.filter((each) => keeps(each, slo)).length / seconds,
    ttft,
    isTtftP95Open: waits.includes(ttft.p95),
    itl: percentiles(latencies.flatMap(({ itl }) => itl)),
    tpot: percentiles(latencies.flatMap(({ tpot }) => tpot ?? [])),
    e2el: percentiles([...latencies.map(({ e2el }) => e2el), ...underWay.map(waitedMs)]),
  };
}

/** Answers within this many milliseconds belong to one batch. */
const burstMs = 100;

/** @param whole the requests that were answered in the window */
function ratesOf(traces: readonly RequestTrace[], whole: readonly RequestTrace[], { fromMs, toMs }: Window) {
  const times = whole.map(({ endedAtMs }) => endedAtMs);
  const first = times.reduce((a, b) => Math.min(a, b), toMs);
  const last = times.reduce((a, b) => Math.max(a, b), fromMs);
  const later = whole.filter(({ endedAtMs }) => endedAtMs > first + burstMs);
  if (later.length > 0 && !whole.some(({ isStreamed }) => isStreamed)) {
    // Whole batches are answered at once. Measured from the first burst to the last, the result does not depend on whether one more
    // burst happens to fall into the window.
    const seconds = (last - first) / 1000;
    const numTokens = later.reduce((sum, { tokenAtMs }) => sum + tokenAtMs.length, 0);
    return { requestsPerSecond: later.length / seconds, tokensPerSecond: numTokens / seconds };
  }
  const seconds = (toMs - fromMs) / 1000;
  const isInWindow = (at: number) => at >= fromMs && at < toMs;
  const numTokens = traces.reduce((sum, { tokenAtMs }) => sum + tokenAtMs.filter(isInWindow).length, 0);
  return { requestsPerSecond: whole.length / seconds, tokensPerSecond: numTokens / seconds };
}

function keeps({ ttft, e2el }: Latencies, slo: Slo): boolean {
  return ttft <= (slo.ttftMs ?? Number.POSITIVE_INFINITY) && e2el <= (slo.e2elMs ?? Number.POSITIVE_INFINITY);
}
