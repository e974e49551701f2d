// Preloaded into a server (node --import): delays every step by 10 ms, so that a long story takes a while even on a fast machine.
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
