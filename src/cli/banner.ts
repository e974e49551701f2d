import { millions, type ServedModel, type StepLimits } from '../core/index.ts';
import { kvCacheBytes, kvCacheShape } from '../engine/index.ts';
import type { Model } from '../model/index.ts';

export interface BannerFacts {
  readonly version: string;
  readonly model: Model;
  readonly limits: StepLimits;
  readonly device: string;
  readonly batchTimeoutMs: number;
  readonly address: string;
  readonly served: ServedModel;
}

/** The text that is printed once the server is ready: what it serves, how, and a command to try it with. */
export function banner({ version, model, limits, device, batchTimeoutMs, address, served }: BannerFacts): string {
  const { architecture, numParameters, numLayers, numHeads, hiddenSize } = model.config;
  const cache = kvCacheBytes(kvCacheShape(model, limits.maxBatchSize, limits.maxModelLen));
  const prompt = served.codec ? '"Once upon a time"' : '[2, 100, 101]';
  return `
  weft ${version}

  model     ${served.name}: ${architecture}, ${millions(numParameters)} parameters, ${numLayers} layers, ${numHeads} heads, hidden size ${hiddenSize}
  device    ${device}, ${model.precision}
  batch     up to ${limits.maxBatchSize} sequences; prompts wait at most ${batchTimeoutMs} ms for each other
  context   ${limits.maxModelLen} tokens, up to ${limits.maxStepTokens} per step
  KV cache  up to ${mebibytes(cache)}
  address   ${address}

  curl -N ${address}/generate -H 'content-type: application/json' -d '{"prompt": ${prompt}, "stream": true}'

`;
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20).toLocaleString('en')} MiB`;
}
