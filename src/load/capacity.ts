import { brokenConditions, type Condition, type Experience } from './slo.ts';

/** One rate, tried. */
export interface Probe {
  /** Requests a second that were sent. */
  readonly rate: number;
  readonly experience: Experience;
  /** Which conditions of the SLO were broken; none if it holds. */
  readonly broken: readonly string[];
}

export interface Capacity {
  /** In the order of their rates. */
  readonly probes: readonly Probe[];
  /** The highest rate that was seen to hold; 0 if none was. */
  readonly highestRate: number;
  /** Beyond it latency grows faster than the rate does. */
  readonly kneeRate: number;
  /** What an instance should be given. */
  readonly safeRate: number;
}

/** A server of these settings, tried at a rate beside the search. */
export interface Trial extends Probe {
  readonly maxBatchSize: number;
  readonly batchTimeoutMs: number;
}

/** Everything that `weft bench capacity` measures and writes. What was without end is null in JSON. */
export interface CapacityReport {
  readonly model: string;
  readonly slo: string;
  readonly capacity: Capacity;
  readonly safeShare: number;
  readonly headroom: number;
  /** Batches and one at a time, at the same rates. */
  readonly comparison: readonly Trial[];
  /** Batch sizes and timeouts, at one rate. */
  readonly tuning: readonly Trial[];
  readonly settings: {
    readonly targetRps?: number | undefined;
    readonly promptTokens: number;
    readonly newTokens: number;
  };
}

/** Of the highest rate: what is left is for what no measurement has seen. */
export const safeShare = 0.7;

/** How closely the highest rate is looked for. */
const precision = 0.05;
/** Below it there is nothing left to halve. */
const minRate = 0.1;
const maxProbes = 20;

/**
 * Finds the highest rate that keeps an SLO: doubles it until the SLO breaks, then halves the difference.
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
 * Where the curve of the 95th percentile bends most: the point farthest below the line from its first to its last point.
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
