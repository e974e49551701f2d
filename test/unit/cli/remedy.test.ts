import { expect, test } from 'vitest';
import { withRemedy } from '../../../src/cli/remedy.ts';
import { ModelError, UserError } from '../../../src/core/index.ts';

test.each([
  [
    new ModelError('too large', { settings: ['maxBatchSize', 'maxModelLen'] }),
    'too large (--max-batch-size, --max-model-len)',
  ],
  [new ModelError('pull it first', { action: 'pull' }), 'pull it first (weft models pull)'],
])('a remedy is worded for the command line: %s', (error, message) => {
  expect(withRemedy(error)).toEqual(new UserError(message));
});

test.each([new UserError('no remedy'), new Error('a bug'), 'thrown text'])('%s stays as it is', (error) => {
  expect(withRemedy(error)).toBe(error);
});
