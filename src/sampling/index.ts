export { type LogitsAdjuster, maxLikeliest, Sampler, type TokenSampler } from './sampler.ts';
