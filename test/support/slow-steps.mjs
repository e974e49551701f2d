// Preloaded into a server (node --import): every step takes 10 ms longer, so that a long story is long on the fastest machine, too.
import { setTimeout } from 'node:timers/promises';
import { isMainThread } from 'node:worker_threads';

if (isMainThread) {
  const { OrtModelRunner } = await import('../../dist/engine/index.js');
  const { run } = OrtModelRunner.prototype;
  OrtModelRunner.prototype.run = async function (step) {
    await setTimeout(10);
    return run.call(this, step);
  };
}
