import type { Device } from './ort/index.ts';

/**
 * The most prompt tokens that one step may feed. On WebGPU, ONNX Runtime 1.30 uses another attention shader from 32 new tokens on, which
 * is wrong where subgroups are narrow (SwiftShader's have 4 lanes: logits are off by 0.5).
 */
export function maxPromptTokens({ kind }: Device): number {
  return kind === 'webgpu' ? 31 : Number.POSITIVE_INFINITY;
}
