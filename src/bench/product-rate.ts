import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { NativeBuffer, Resources, Session, type SessionOptions } from '../engine/ort/index.ts';
import { type ProductShape, productNames, writeProducts } from './products-graph.ts';

const numRuns = 40;

/** The shortest time (ms) that ONNX Runtime takes on this machine for these products in float32, one after another, each with its own weights. */
export async function bestProductsMs(shapes: readonly ProductShape[], options: SessionOptions): Promise<number> {
  const folder = await mkdtemp(path.join(tmpdir(), 'weft-'));
  const bytesOf = (count: (shape: ProductShape) => number) =>
    Math.max(...shapes.map(count)) * Float32Array.BYTES_PER_ELEMENT;
  const owned = new Resources();
  try {
    // All products share their input and output memory: only the weights are as large as in a real step.
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
