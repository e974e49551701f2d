import type { FileHandle } from 'node:fs/promises';
import { numElements, type Parameter } from '../../model/index.ts';

/**
 * Writes a `.safetensors` file of float32 tensors in blocks, so that no tensor is ever in memory as a whole.
 * Format: https://github.com/huggingface/safetensors#format
 * @param blocksOf the numbers of a tensor in row-major order; a block may be overwritten once the next one is requested
 */
export async function writeSafetensors<Tensor extends Pick<Parameter, 'name' | 'shape'>>(
  file: FileHandle,
  tensors: readonly Tensor[],
  blocksOf: (tensor: Tensor) => Iterable<Float32Array>,
): Promise<void> {
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  let end = 0;
  for (const { name, shape } of tensors) {
    const start = end;
    end += numElements(shape) * Float32Array.BYTES_PER_ELEMENT;
    header[name] = { dtype: 'F32', shape, data_offsets: [start, end] };
  }
  const text = JSON.stringify(header);
  const json = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  await file.writeFile(Buffer.concat([length, json]));
  for (const tensor of tensors) {
    for (const block of blocksOf(tensor)) {
      // A file handle continues where its last write ended.
      await file.writeFile(Buffer.from(block.buffer, block.byteOffset, block.byteLength));
    }
  }
  await file.sync();
}
