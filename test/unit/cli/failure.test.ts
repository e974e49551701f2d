import { expect, test } from 'vitest';
import { describeFailure } from '../../../src/cli/failure.ts';
import { ModelError, UserError } from '../../../src/core/index.ts';

const noThread = 'env.cc:251 PosixThread pthread_create failed, error code: 11';

test.each<[unknown, RegExp]>([
  [new UserError('--port is wrong'), /^--port is wrong$/],
  [new ModelError('there is no model folder x'), /^there is no model folder x$/],
  [
    new Error('EMFILE: too many open files, open "x"'),
    /^too many files are open; raise ulimit -n.*: EMFILE: .* open "x"$/,
  ],
  [
    new ModelError(`ONNX Runtime cannot load x: ${noThread}`),
    /^no more threads can be started; raise ulimit -u.*code: 11$/,
  ],
  [new RangeError('the system cannot allocate 20054016 bytes'), /^memory .* run out; .*: the system cannot allocate/],
  [new Error('write\nENOSPC: no space left'), /^a disk is full; free some space: write ENOSPC: no space left$/],
])('a problem that the user can solve is one line, with exit code 2: %s', (error, text) => {
  expect(describeFailure(error)).toEqual({ text: expect.stringMatching(text), exitCode: 2 });
});

test.each([
  'there is no room for a KV cache of 225 MiB (the system cannot allocate 9 bytes); a smaller batch needs less',
  'the graph cannot be built in x: ENOSPC: no space left on device; choose another cache folder',
])('a user error that says what to do stays as it is: %s', (message) => {
  expect(describeFailure(new UserError(message)).text).toBe(message);
});

test('a bug has its stack, with exit code 1', () => {
  const { text, exitCode } = describeFailure(new TypeError('x is undefined'));
  expect(text).toMatch(/^TypeError: x is undefined\n +at /);
  expect(exitCode).toBe(1);
  expect(describeFailure('thrown text')).toEqual({ text: 'thrown text', exitCode: 1 });
});
