import { deserialize } from 'node:v8';
import { parentPort, workerData } from 'node:worker_threads';
import { BytePairEncoder } from './byte-pair-encoder.ts';
import { type EncoderJob, type EncoderWorkerData, encodeUnlessCancelled } from './encoder-job.ts';

const { serializedTables, isCancelled }: EncoderWorkerData = workerData;
const encoder = new BytePairEncoder(deserialize(serializedTables));

parentPort?.on('message', (job: EncoderJob) => {
  parentPort?.postMessage(encodeUnlessCancelled(encoder, job, isCancelled));
});
