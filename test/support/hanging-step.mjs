// Preloaded into a server (node --import): the tenth step after the warm-up hangs in a native call, like a kernel that never returns.

import { isMainThread } from 'node:worker_threads';

if (isMainThread) {
  const { OrtModelRunner } = await import('../../dist/engine/index.js');
  const { systemFunctions } = await import('../../dist/engine/ort/native.js');
  const { run } = OrtModelRunner.prototype;
  const { sleep } = systemFunctions(null, { sleep: ['uint', ['uint']] });
  let numSteps = 0;
  OrtModelRunner.prototype.run = async function (step) {
    if (++numSteps === 12) await new Promise((resolve) => sleep.async(3600, resolve));
    return run.call(this, step);
  };
}
