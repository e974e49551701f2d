import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import type { EncoderReply } from '../../src/tokenizer/encoder-job.ts';
import { encoderTables } from '../../src/tokenizer/encoder-tables.ts';
import { OffLoopEncoder } from '../../src/tokenizer/off-loop-encoder.ts';
import { addedToken, byteTokenizer } from '../support/tokenizers.ts';

const workerFile = fileURLToPath(new URL('../../dist/tokenizer/encoder-worker.js', import.meta.url));

test('the tokenizer thread drops the text of a disconnected client and continues with the next one', async () => {
  const replies: EncoderReply[] = [];
  const spec = byteTokenizer({ addedTokens: [addedToken(1000, '<mask>', { lstrip: true })] });
  const encoder = new OffLoopEncoder(encoderTables(spec), (workerData) => {
    const worker = new Worker(workerFile, { workerData });
    worker.on('message', (reply) => replies.push(reply));
    return worker;
  });
  const client = new AbortController();
  const first = encoder.encode({ text: 'x '.repeat(1_000_000), addSpecialTokens: true }, client);
  const second = encoder.encode({ text: 'a  <mask>', addSpecialTokens: true }, new AbortController());
  client.abort(new Error('disconnected'));
  await expect(first).rejects.toThrow('disconnected');
  expect(await second).toEqual([97, 1000]);
  expect(replies).toEqual([{ wasCancelled: true }, { ids: [97, 1000] }]);
  await encoder.dispose();
});
