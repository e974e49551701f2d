import { once } from 'node:events';
import { chmod, open, rm, stat, truncate } from 'node:fs/promises';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openModel, watchGraph } from '../../../src/model/index.ts';
import { reference, temporaryFolder } from '../../support/fixtures.ts';

const mini = reference('opt-mini');

async function builtGraph() {
  const cache = await temporaryFolder();
  const { graphPath } = await openModel(mini, cache);
  const data = `${graphPath}.data`;
  await chmod(data, 0o644);
  return { cache, graphPath, data, bytes: (await stat(data)).size };
}

/** Watches a graph. */
async function watched(graphPath: string) {
  const target = new EventTarget();
  const problems: string[] = [];
  const told = once(target, 'damage');
  const stop = await watchGraph(graphPath, (problem) => {
    problems.push(problem);
    target.dispatchEvent(new Event('damage'));
  });
  onTestFinished(stop);
  return { problems, told };
}

test('reports a graph that is truncated while it is watched', async () => {
  const { graphPath, data, bytes } = await builtGraph();
  const { problems, told } = await watched(graphPath);
  await truncate(data, 100);
  await told;
  expect(problems).toEqual([`${data} was cut from ${bytes} to 100 bytes while it was being served`]);
});

test('reports a graph that was truncated before', async () => {
  const { graphPath, data } = await builtGraph();
  await truncate(data, 100);
  const { problems, told } = await watched(graphPath);
  await told;
  expect(problems).toHaveLength(1);
});

test('ignores removal and replacement, but still watches the file that was mapped', async () => {
  const { cache, graphPath, data, bytes } = await builtGraph();
  const served = await open(data, 'r+');
  onTestFinished(() => served.close());
  const { problems, told } = await watched(graphPath);
  await rm(path.dirname(graphPath), { recursive: true });
  await openModel(mini, cache);
  await served.truncate(7);
  await told;
  expect(problems).toEqual([`${data} was cut from ${bytes} to 7 bytes while it was being served`]);
});

test('does nothing for a graph that no longer exists', async () => {
  const { graphPath } = await builtGraph();
  await rm(path.dirname(graphPath), { recursive: true });
  const stop = await watchGraph(graphPath, () => {});
  stop();
});
