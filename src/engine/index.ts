export { kvCacheBytes, kvCacheShape } from './kv-cache.ts';
export { type Device, DeviceError, exitNow, expectDevice, type SessionOptions } from './ort/index.ts';
export { OrtModelRunner } from './ort-model-runner.ts';
export { maxPromptTokens } from './prompt-limit.ts';
