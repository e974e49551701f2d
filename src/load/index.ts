export { burstArrivals, closedLoop, type LoadPlan, type OpenLoop, openLoop, poissonArrivals } from './arrivals.ts';
export {
  type Dialect,
  GenerateClient,
  type LoadRequest,
  openAiDialect,
  type RequestTrace,
  weftDialect,
} from './generate-client.ts';
export { seededRandom } from './seeded-random.ts';
export {
  type LoadSummary,
  latenciesOf,
  type Percentiles,
  percentile,
  percentiles,
  type Slo,
  summarize,
  type Window,
} from './summary.ts';
