import { messageOf } from '../core/index.ts';
import type { BytePairEncoder } from './byte-pair-encoder.ts';
import { Work } from './work.ts';

/** What the worker thread is started with. */
export interface EncoderWorkerData {
  /** `EncoderTables`, as `node:v8` writes them. */
  readonly serializedTables: Uint8Array;
  /** In shared memory: 1 once nobody waits for the current text any more. */
  readonly isCancelled: Int32Array;
}

/** What the worker thread answers to a text. */
export type EncoderReply = { readonly ids: number[] } | { readonly error: string } | { readonly wasCancelled: true };

/** Encodes a text, and stops as soon as it is cancelled: the flag can change while no message is read. */
export function encodeUnlessCancelled(
  encoder: Pick<BytePairEncoder, 'encode'>,
  text: string,
  isCancelled: Int32Array,
): EncoderReply {
  const work = new Work(() => {
    if (Atomics.load(isCancelled, 0) === 1) throw new Cancelled();
  });
  try {
    return { ids: encoder.encode(text, work) };
  } catch (error) {
    return error instanceof Cancelled ? { wasCancelled: true } : { error: messageOf(error) };
  }
}

class Cancelled extends Error {}
