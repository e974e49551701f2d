import { parentPort, workerData } from 'node:worker_threads';
import { messageOf } from '../core/index.ts';
import { BytePairEncoder } from './byte-pair-encoder.ts';
import type { EncoderReply } from './off-loop-encoder.ts';
import { deserializeSpec } from './tokenizer-spec.ts';

const encoder = new BytePairEncoder(deserializeSpec(workerData as string));

parentPort?.on('message', (text: string) => {
  parentPort?.postMessage(reply(text));
});

function reply(text: string): EncoderReply {
  try {
    return { ids: encoder.encode(text) };
  } catch (error) {
    return { error: messageOf(error) };
  }
}
