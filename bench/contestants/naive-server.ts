/**
 * The server that tutorials build: Fastify and a transformers.js pipeline, one request at a time.
 *
 *     node --import tsx bench/contestants/naive-server.ts PORT FOLDER [cold]
 *
 * FOLDER: written by `weft models export`. With `cold`, the model is reloaded for every request.
 */
import path from 'node:path';
import { env, pipeline, Tensor, type TextGenerationPipeline } from '@huggingface/transformers';
import Fastify from 'fastify';

const [port = '0', folder = '', mode] = process.argv.slice(2);
env.allowRemoteModels = false;
env.localModelPath = path.dirname(path.resolve(folder));

interface Body {
  readonly prompt: string | readonly number[];
  readonly max_new_tokens?: number;
}

async function load(): Promise<TextGenerationPipeline> {
  return pipeline('text-generation', path.basename(folder), { dtype: 'fp32', device: 'cpu' });
}

async function generate(generator: TextGenerationPipeline, { prompt, max_new_tokens = 128 }: Body) {
  const inputs = typeof prompt === 'string' ? generator.tokenizer(prompt) : tensorsOf(prompt);
  // Always generate the full length: the end-of-sequence token does not stop.
  const options = { max_new_tokens, eos_token_id: [], do_sample: false };
  const output = await generator.model.generate({ ...inputs, ...options });
  if (!(output instanceof Tensor)) throw new Error('transformers.js did not return a tensor');
  const numPrompt = inputs.input_ids.dims.at(-1) ?? 0;
  const tokenIds = Array.from(output.data, Number).slice(numPrompt);
  return { text: generator.tokenizer.decode(tokenIds, { skip_special_tokens: true }), token_ids: tokenIds };
}

function tensorsOf(ids: readonly number[]) {
  const tensor = (values: BigInt64Array) => new Tensor('int64', values, [1, ids.length]);
  return {
    input_ids: tensor(BigInt64Array.from(ids, BigInt)),
    attention_mask: tensor(new BigInt64Array(ids.length).fill(1n)),
  };
}

const kept = mode === 'cold' ? undefined : await load();

async function answer(body: Body, arrivedAtMs: number) {
  const startedAtMs = performance.now();
  const generator = kept ?? (await load());
  const loadedAtMs = performance.now();
  try {
    const generated = await generate(generator, body);
    const timings = {
      queue_ms: startedAtMs - arrivedAtMs,
      load_ms: loadedAtMs - startedAtMs,
      generate_ms: performance.now() - loadedAtMs,
    };
    return { ...generated, timings };
  } finally {
    if (kept === undefined) await generator.dispose();
  }
}

const app = Fastify();
let last: Promise<unknown> = Promise.resolve();
app.get('/readyz', () => ({}));
app.post<{ Body: Body }>('/generate', ({ body }) => {
  const arrivedAtMs = performance.now();
  const next = last.catch(() => {}).then(() => answer(body, arrivedAtMs));
  last = next;
  return next;
});
await app.listen({ host: '127.0.0.1', port: Number(port) });
