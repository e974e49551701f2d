import { brokenConditions, type Condition, type Experience } from './slo.ts';

/** The result of trying one rate. */
export interface Probe {
  /** Requests per second. */
  readonly rate: number;
  readonly experience: Experience;
  /** The broken conditions of the SLO; empty if the SLO was kept. */
  readonly broken: readonly string[];
}

export interface Capacity {
  /** Sorted by rate. */
  readonly probes: readonly Probe[];
  /** The highest rate that kept the SLO; 0 if none did. */
  readonly highestRate: number;
  /** Beyond this rate, latency grows faster than the rate. */
  readonly kneeRate: number;
  /** The rate that an instance should get. */
  readonly safeRate: number;
}

/** A server with these settings, tried at one rate. */
export interface Trial extends Probe {
  readonly maxBatchSize: number;
  readonly batchTimeoutMs: number;
}

/** Everything that `weft bench capacity` measures and writes. Infinite values are null in JSON. */
export interface CapacityReport {
  readonly model: string;
  readonly slo: string;
  readonly capacity: Capacity;
  readonly safeShare: number;
  readonly headroom: number;
  /** Batching and one request at a time, at the same rates. */
  readonly comparison: readonly Trial[];
  /** Different batch sizes and timeouts at one rate. */
  readonly tuning: readonly Trial[];
  readonly settings: {
    readonly targetRps?: number | undefined;
    readonly promptTokens: number;
    readonly newTokens: number;
  };
}

/** The safe share of the highest rate. The rest is a reserve for what the measurement did not cover. */
export const safeShare = 0.7;

/** The relative precision of the search. */
const precision = 0.05;
/** The search gives up below this rate. */
const minRate = 0.1;
const maxProbes = 20;

/**
 * Finds the highest rate that keeps an SLO: doubles the rate until the SLO breaks, then bisects.
 * @param tryRate sends requests at a rate for a while
 */
export async function findCapacity(
  slo: readonly Condition[],
  startRate: number,
  tryRate: (rate: number) => Promise<Experience>,
): Promise<Capacity> {
  const probes: Probe[] = [];
  let good = 0;
  let bad = Number.POSITIVE_INFINITY;
  for (let rate = startRate; probes.length < maxProbes; ) {
    const experience = await tryRate(rate);
    const broken = brokenConditions(slo, experience);
    probes.push({ rate, experience, broken });
    if (broken.length === 0) good = rate;
    else bad = rate;
    if (Number.isFinite(bad) && (bad - good <= precision * bad || bad < minRate)) break;
    rate = Number.isFinite(bad) ? (good + bad) / 2 : rate * 2;
  }
  probes.sort((a, b) => a.rate - b.rate);
  return { probes, highestRate: good, kneeRate: kneeOf(probes), safeRate: safeShare * good };
}

/**
 * The knee of the curve of the 95th percentile: the point farthest below the line from the first to the last point.
 * Method: Satopää et al., "Finding a 'Kneedle' in a Haystack", 2011.
 */
function kneeOf(probes: readonly Probe[]): number {
  const points = probes
    .map(({ rate, experience }) => ({ rate, ms: experience.e2el.p95 }))
    .filter(({ ms }) => Number.isFinite(ms));
  const first = points[0];
  const last = points.at(-1);
  if (first === undefined || last === undefined || last.rate === first.rate) return first?.rate ?? 0;
  const below = ({ rate, ms }: { rate: number; ms: number }) => {
    const share = (rate - first.rate) / (last.rate - first.rate);
    return share - (ms - first.ms) / Math.max(1e-9, last.ms - first.ms);
  };
  return points.reduce((knee, point) => (below(point) > below(knee) ? point : knee), first).rate;
}
