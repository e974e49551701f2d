/** Weft's server with a model that takes no time, to measure Weft's own overhead. Its argument is the port. */
import { setImmediate } from 'node:timers/promises';
import { loadSettings } from '../../src/config/index.ts';
import { type ModelRunner, systemClock } from '../../src/core/index.ts';
import { servedModel } from '../../src/library/served-model.ts';
import { LlmEngine } from '../../src/llm/index.ts';
import { buildServer } from '../../src/server/index.ts';
import { loadTokenizer } from '../../src/tokenizer/index.ts';

const vocabSize = 3072;

const runner: ModelRunner = {
  limits: { maxBatchSize: 50, maxModelLen: 512, maxStepTokens: 306 },
  async run({ rows }) {
    // As with a real step, the result arrives in a later turn of the event loop.
    await setImmediate();
    return rows.map(({ start, tokenIds, sample }) => ({
      tokens: (sample?.choices ?? []).map(() => ({ id: 300 + ((start + tokenIds.length) % 1000) })),
    }));
  },
  terminate() {},
  dispose() {},
};

const settings = loadSettings([], {});
const engine = new LlmEngine({
  ...settings,
  runner,
  tokenizer: await loadTokenizer('models/opt-stories'),
  clock: systemClock,
  vocabSize,
  eosTokenIds: [2],
  onFailure: (error) => {
    throw error;
  },
  onDefect: (error) => {
    throw error;
  },
});
const server = await buildServer({
  ...settings,
  generator: engine,
  model: servedModel(['null']),
  version: '0',
  logLevel: 'silent',
});
await engine.warmUp();
await server.app.listen({ host: '127.0.0.1', port: Number(process.argv[2]) });
process.on('SIGTERM', () => process.exit(0));
