import { expect, test } from 'vitest';
import { servedModel } from '../../../src/library/served-model.ts';

test('the first name is the one in replies, and each name is listed once', () => {
  expect(servedModel(['a', 'b', 'a'])).toMatchObject({ name: 'a', names: ['a', 'b'] });
});

test('facts are undefined unless they are given', () => {
  const none = { maxModelLen: undefined, maxBatchSize: undefined, vocabSize: undefined };
  expect(servedModel(['a'])).toMatchObject({ ...none, codec: undefined, chat: undefined });
  expect(servedModel(['a'], { maxModelLen: 512 })).toMatchObject({ ...none, maxModelLen: 512 });
});
