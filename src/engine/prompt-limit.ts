import type { Device } from './ort/index.ts';

/**
 * New tokens that the prompts of one step may have. On WebGPU, ONNX Runtime 1.30 attends from 32 new tokens on with a shader that is
 * wrong where subgroups are narrow (SwiftShader's have 4 lanes: logits off by 0.5); below that with another.
 */
export function maxPromptTokens({ kind }: Device): number {
  return kind === 'webgpu' ? 31 : Number.POSITIVE_INFINITY;
}
