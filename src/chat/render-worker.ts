import { parentPort, workerData } from 'node:worker_threads';
import { boundStrings } from './bounded-strings.ts';
import { JobRenderer } from './job-renderer.ts';

boundStrings();
const renderer = new JobRenderer(workerData);

parentPort?.on('message', (job: string) => {
  parentPort?.postMessage(renderer.render(JSON.parse(job)));
});
parentPort?.postMessage('ready');
