export { LikeliestIds } from './likeliest-ids.ts';
export type { LikeliestTokens } from './likeliest-tokens.ts';
export {
  isGreedy,
  maxLikeliest,
  Sampler,
  type TokenSampler,
  type Undrawable,
} from './sampler.ts';
export { numLarger, numSegmentsOf, segmentSize, type WeighedRow } from './segments.ts';
