export { type LogitsAdjuster, maxLikeliest, Sampler, type SamplingStages, type TokenSampler } from './sampler.ts';
