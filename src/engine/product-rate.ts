import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { writeProduct } from '../model/index.ts';
import { NativeBuffer, Session, type SessionOptions } from './ort/index.ts';

export interface ProductShape {
  readonly rows: number;
  readonly from: number;
  readonly to: number;
}

const numRuns = 40;

/** The least time that ONNX Runtime takes here for a product in float32 whose weights it has just used (ms). */
export async function bestProductMs(shape: ProductShape, options: SessionOptions): Promise<number> {
  const { rows, from, to } = shape;
  const folder = await mkdtemp(path.join(tmpdir(), 'weft-'));
  const input = new NativeBuffer(rows * from * Float32Array.BYTES_PER_ELEMENT);
  const output = new NativeBuffer(rows * to * Float32Array.BYTES_PER_ELEMENT);
  let session: Session | undefined;
  try {
    session = new Session(await writeProduct(folder, shape), options);
    session.bindInput('input', { buffer: input, type: 'float32', shape: [rows, from] });
    session.bindOutput('output', { buffer: output, type: 'float32', shape: [rows, to] });
    let best = Number.POSITIVE_INFINITY;
    for (let i = 0; i < numRuns; i++) {
      const startedAt = performance.now();
      await session.run();
      best = Math.min(best, performance.now() - startedAt);
    }
    return best;
  } finally {
    session?.release();
    input.free();
    output.free();
    await rm(folder, { recursive: true, force: true });
  }
}
