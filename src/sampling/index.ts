export type { LikeliestTokens } from './likeliest-tokens.ts';
export {
  type AdjustedRow,
  isGreedy,
  maxLikeliest,
  type NeededLogits,
  Sampler,
  type TokenSampler,
  type Undrawable,
} from './sampler.ts';
