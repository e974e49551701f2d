export { ConcatenatedRun } from './concatenated-run.ts';
export { bestProductsMs } from './product-rate.ts';
