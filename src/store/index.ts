export { makeRandomModel } from './random/random-model.ts';
