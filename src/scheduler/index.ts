export { gatherWhileRunning } from './admission.ts';
export { Scheduler, type SequenceOutput } from './scheduler.ts';
export { Sequence } from './sequence.ts';
