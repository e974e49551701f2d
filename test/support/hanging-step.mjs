// Preloaded into a server (node --import): the tenth step after the warm-up hangs in a native call, as a kernel that does not end would.

import { isMainThread } from 'node:worker_threads';
import koffi from 'koffi';

if (isMainThread) {
  const { OrtModelRunner } = await import('../../dist/engine/index.js');
  const { run } = OrtModelRunner.prototype;
  const sleep = koffi.load(null).func('sleep', 'uint', ['uint']);
  let numSteps = 0;
  OrtModelRunner.prototype.run = async function (step) {
    if (++numSteps === 12) await new Promise((resolve) => sleep.async(3600, resolve));
    return run.call(this, step);
  };
}
