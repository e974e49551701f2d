import { parentPort, workerData } from 'node:worker_threads';
import { BytePairEncoder } from './byte-pair-encoder.ts';
import { type EncoderWorkerData, encodeUnlessCancelled } from './encoder-job.ts';

const { tables, isCancelled }: EncoderWorkerData = workerData;
const encoder = new BytePairEncoder(tables);

parentPort?.on('message', (text: string) => {
  parentPort?.postMessage(encodeUnlessCancelled(encoder, text, isCancelled));
});
