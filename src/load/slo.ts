import { show, UserError } from '../core/index.ts';
import type { RequestTrace } from './generate-client.ts';
import { latenciesOf, type Percentiles, percentiles } from './summary.ts';

const kinds = ['e2el', 'ttft', 'itl'] as const;
const levels = ['p50', 'p90', 'p95', 'p99'] as const;

/** One condition of an SLO. */
export type Condition =
  | { readonly kind: (typeof kinds)[number]; readonly level: keyof Percentiles; readonly limitMs: number }
  | { readonly kind: 'errors'; readonly limitShare: number };

/**
 * Parses an SLO like `p95<120ms,errors<0.1%`: percentiles of the end-to-end latency (or with `ttft.` or `itl.` in front), and the share of
 * errors.
 * @throws {UserError} the text has another form
 */
export function parseSlo(text: string): Condition[] {
  return text.split(',').map((part) => {
    const errors = /^\s*errors\s*<\s*(\d+(?:\.\d+)?)\s*%\s*$/.exec(part);
    if (errors !== null) return { kind: 'errors', limitShare: Number(errors[1]) / 100 };
    const latency = /^\s*(?:(\w+)\.)?(p\d+)\s*<\s*(\d+(?:\.\d+)?)\s*(ms|s)\s*$/.exec(part);
    const [, name = 'e2el', digits, value, unit] = latency ?? [];
    const kind = kinds.find((each) => each === name);
    const level = levels.find((each) => each === digits);
    if (latency === null || kind === undefined || level === undefined) {
      throw new UserError(
        `the SLO has ${show(part.trim())}; it must be like p95<120ms, ttft.p99<0.5s, itl.p50<40ms (p50, p90, p95 or p99) or errors<0.1%`,
      );
    }
    return { kind, level, limitMs: Number(value) * (unit === 's' ? 1000 : 1) };
  });
}

/** How requests at a given rate fared. Requests that failed or were not answered in time count as infinitely slow. */
export interface Experience {
  readonly numRequests: number;
  readonly errorShare: number;
  readonly e2el: Percentiles;
  readonly ttft: Percentiles;
  readonly itl: Percentiles;
}

export function experienceOf(traces: readonly RequestTrace[]): Experience {
  const whole = traces.filter(({ error }) => error === undefined);
  const lost = new Array<number>(traces.length - whole.length).fill(Number.POSITIVE_INFINITY);
  const latencies = whole.map(latenciesOf);
  const gaps = latencies.flatMap(({ itl }) => itl);
  const gapsPerRequest = whole.length === 0 ? 1 : gaps.length / whole.length;
  const lostGaps = new Array<number>(Math.round(lost.length * gapsPerRequest)).fill(Number.POSITIVE_INFINITY);
  return {
    numRequests: traces.length,
    errorShare: traces.length === 0 ? 0 : lost.length / traces.length,
    e2el: percentiles([...latencies.map(({ e2el }) => e2el), ...lost]),
    ttft: percentiles([...latencies.map(({ ttft }) => ttft), ...lost]),
    itl: percentiles([...gaps, ...lostGaps]),
  };
}

/** Describes the conditions that are broken. */
export function brokenConditions(slo: readonly Condition[], experience: Experience): string[] {
  if (experience.numRequests === 0) return ['the time was too short for a single request'];
  return slo.flatMap((condition) => {
    if (condition.kind === 'errors') {
      const { errorShare } = experience;
      return errorShare < condition.limitShare ? [] : [`errors are ${(100 * errorShare).toFixed(1)} %`];
    }
    const value = experience[condition.kind][condition.level];
    // Without values, the condition holds: a request for one token has no time between tokens.
    return Number.isNaN(value) || value < condition.limitMs
      ? []
      : [`${condition.kind} ${condition.level} is ${Number.isFinite(value) ? `${value.toFixed(0)} ms` : 'infinite'}`];
  });
}
