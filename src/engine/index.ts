export { ConcatenatedRun } from './concatenated-run.ts';
export { kvCacheBytes, kvCacheShape } from './kv-cache.ts';
export { type Device, DeviceError, exitNow, expectDevice, type SessionOptions } from './ort/index.ts';
export { OrtModelRunner } from './ort-model-runner.ts';
export { bestProductsMs } from './product-rate.ts';
export { maxPromptTokens } from './prompt-limit.ts';
export type { TokenSampler } from './sampler.ts';
