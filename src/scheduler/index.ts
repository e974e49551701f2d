export { type AdmissionPolicy, type AdmissionState, gatherWhileRunning } from './admission.ts';
export { Scheduler, type SchedulerOptions, type SequenceOutput } from './scheduler.ts';
