export { burstArrivals, closedLoop, openLoop, poissonArrivals } from './arrivals.ts';
export { type Capacity, type CapacityReport, findCapacity, safeShare, type Trial } from './capacity.ts';
export {
  type Dialect,
  GenerateClient,
  type LoadRequest,
  openAiDialect,
  type RequestTrace,
  weftDialect,
} from './generate-client.ts';
export {
  fullRate,
  instancesFor,
  safeRate,
  serviceTimeMs,
  tune,
  worstCaseMs,
} from './planning.ts';
export { seededRandom } from './seeded-random.ts';
export { brokenConditions, type Condition, type Experience, experienceOf, parseSlo } from './slo.ts';
export {
  type LoadSummary,
  type Percentiles,
  percentile,
  percentiles,
  type Slo,
  summarize,
  type Window,
} from './summary.ts';
