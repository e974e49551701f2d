import { expect, test } from 'vitest';
import { servedModel } from '../../../src/library/served-model.ts';

test('the first name is the one in replies, and all names are accepted, also that of TGI clients', () => {
  expect(servedModel(['a', 'b', 'a'])).toMatchObject({ name: 'a', names: ['a', 'b', 'tgi', 'dummy'] });
  expect(servedModel(['tgi'])).toMatchObject({ name: 'tgi', names: ['tgi', 'dummy'] });
});

test('facts are undefined unless they are given', () => {
  const none = { maxModelLen: undefined, maxBatchSize: undefined, vocabSize: undefined };
  expect(servedModel(['a'])).toMatchObject({ ...none, codec: undefined, chat: undefined });
  expect(servedModel(['a'], { maxModelLen: 512 })).toMatchObject({ ...none, maxModelLen: 512 });
});
