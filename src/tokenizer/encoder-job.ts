import { messageOf } from '../core/index.ts';
import type { BytePairEncoder } from './byte-pair-encoder.ts';
import { Work } from './work.ts';

/** The data that the worker thread starts with. */
export interface EncoderWorkerData {
  /** `EncoderTables`, serialized by `node:v8`. */
  readonly serializedTables: Uint8Array;
  /** In shared memory: 1 once the current text is no longer wanted. */
  readonly isCancelled: Int32Array;
}

/** A text to encode. */
export interface EncoderJob {
  readonly text: string;
  readonly addSpecialTokens: boolean;
}

/** The worker thread's reply to a text. */
export type EncoderReply = { readonly ids: number[] } | { readonly error: string } | { readonly wasCancelled: true };

/** Encodes a text and stops soon after it is cancelled. A flag in shared memory works even while no messages are read. */
export function encodeUnlessCancelled(
  encoder: Pick<BytePairEncoder, 'encode'>,
  { text, addSpecialTokens }: EncoderJob,
  isCancelled: Int32Array,
): EncoderReply {
  const work = new Work(() => {
    if (Atomics.load(isCancelled, 0) === 1) throw new Cancelled();
  });
  try {
    return { ids: encoder.encode(text, { addSpecialTokens, work }) };
  } catch (error) {
    return error instanceof Cancelled ? { wasCancelled: true } : { error: messageOf(error) };
  }
}

class Cancelled extends Error {}
