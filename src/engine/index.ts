export { kvCacheBytes, kvCacheShape } from './kv-cache.ts';
export { OrtModelRunner } from './ort-model-runner.ts';
export { bestProductMs } from './product-rate.ts';
export type { TokenSampler } from './sampler.ts';
