// Preloaded into a server (node --import): the tokenizer thread never finishes a text.
import { isMainThread } from 'node:worker_threads';

if (!isMainThread) {
  const { BytePairEncoder } = await import('../../dist/tokenizer/byte-pair-encoder.js');
  BytePairEncoder.prototype.encode = () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}
