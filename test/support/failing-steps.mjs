// Preloaded into a server (node --import): a step with token 777 in a prompt fails. A step with token 778 fails, and so do the next eight.
import { isMainThread } from 'node:worker_threads';

if (isMainThread) {
  const { EngineError } = await import('../../dist/core/index.js');
  const { OrtModelRunner } = await import('../../dist/engine/index.js');
  const { run } = OrtModelRunner.prototype;
  let numToFail = 0;
  OrtModelRunner.prototype.run = async function (step) {
    const prompts = step.rows.filter(({ start }) => start === 0);
    const feeds = (tokenId) => prompts.some(({ tokenIds }) => tokenIds.includes(tokenId));
    if (numToFail === 0 && feeds(778)) numToFail = 9;
    if (numToFail > 0) numToFail--;
    if (feeds(777) || numToFail > 0) throw new EngineError('the step failed', new Error('a kernel gave up'));
    return run.call(this, step);
  };
}
