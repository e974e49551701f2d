import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type ProductShape, productNames, writeProducts } from '../model/index.ts';
import { NativeBuffer, Resources, Session, type SessionOptions } from './ort/index.ts';

const numRuns = 40;

/** The least time that ONNX Runtime takes here for these products in float32, one after the other, each with weights of its own (ms). */
export async function bestProductsMs(shapes: readonly ProductShape[], options: SessionOptions): Promise<number> {
  const folder = await mkdtemp(path.join(tmpdir(), 'weft-'));
  const bytesOf = (count: (shape: ProductShape) => number) =>
    Math.max(...shapes.map(count)) * Float32Array.BYTES_PER_ELEMENT;
  const owned = new Resources();
  try {
    // All read the same and write to the same memory: only the weights are of a step's size.
    const input = owned.own(new NativeBuffer(bytesOf(({ rows, from }) => rows * from)));
    const output = owned.own(new NativeBuffer(bytesOf(({ rows, to }) => rows * to)));
    const session = owned.own(new Session(await writeProducts(folder, shapes), options));
    for (const [i, { rows, from, to }] of shapes.entries()) {
      const names = productNames(i);
      session.bindInput(names.input, { buffer: input, type: 'float32', shape: [rows, from] });
      session.bindOutput(names.output, { buffer: output, type: 'float32', shape: [rows, to] });
    }
    let best = Number.POSITIVE_INFINITY;
    for (let i = 0; i < numRuns; i++) {
      const startedAt = performance.now();
      await session.run();
      best = Math.min(best, performance.now() - startedAt);
    }
    return best;
  } finally {
    owned.free();
    await rm(folder, { recursive: true, force: true });
  }
}
