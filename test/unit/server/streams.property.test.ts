import { array, assert, asyncProperty, integer, string, tuple } from 'fast-check';
import { test } from 'vitest';
import type { GenerationEvent, TokenEvent } from '../../../src/core/index.ts';
import * as tgi from '../../../src/server/dialects/tgi/index.ts';
import * as weft from '../../../src/server/dialects/weft/index.ts';
import { codecOf, dataOf, eventsOf, startRoutes } from '../../support/dialect-app.ts';

const usage = { promptTokens: 1, completionTokens: 1 };
const timings = { tokenizeMs: 0, queueMs: 0, prefillMs: 0, decodeMs: 0, detokenizeMs: 0 };

/** Cuts a text into tokens at these bytes, inside of characters too. */
function tokensOf(text: string, cuts: readonly number[]): Buffer[] {
  const bytes = Buffer.from(text);
  const ends = [...new Set([...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])].sort((a, b) => a - b);
  return ends.map((end, i) => bytes.subarray(ends[i - 1] ?? 0, end));
}

/** An answer of these tokens and the end of the sequence, as the generator gives it. */
function answerOf(tokens: readonly Buffer[], choice: number) {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  const events = tokens.map(
    (bytes, index): TokenEvent => ({
      type: 'token',
      choice,
      index,
      token: { id: index + 1 },
      text: decoder.decode(bytes, { stream: true }),
      isLast: false,
    }),
  );
  const end: TokenEvent = {
    type: 'token',
    choice,
    index: tokens.length,
    token: { id: 0 },
    text: decoder.decode(),
    isLast: true,
  };
  return [...events, end, { type: 'finished', choice, finishReason: 'stop', usage, timings } as const];
}

/** Mixes answers, each of which keeps its order. */
function mix(answers: readonly GenerationEvent[][], order: readonly number[]): GenerationEvent[] {
  const left = answers.map((events) => [...events]);
  const turns = order.flatMap((turn) => left[turn % left.length]?.shift() ?? []);
  return [...turns, ...left.flat()];
}

const text = string({ unit: 'binary' });
const cuts = array(integer({ min: 0, max: 200 }), { maxLength: 20 });
const answers = tuple(tuple(text, cuts), tuple(text, cuts), tuple(text, cuts));
const order = array(integer({ min: 0, max: 2 }), { maxLength: 60 });

const { post, generator } = await startRoutes([tgi.streamRoute, tgi.rootRoute, weft.generateRoute], {
  model: { codec: codecOf([]) },
});

test('the texts of a TGI stream make up the text of a whole reply', async () => {
  const property = asyncProperty(text, cuts, async (written, at) => {
    generator.events = answerOf(tokensOf(written, at), 0);
    const whole = (await post('/', { inputs: 'x', parameters: { details: true } })).json()[0];
    const streamed = dataOf((await post('/generate_stream', { inputs: 'x' })).body);
    const shown = streamed.map(({ token }) => token as { readonly text: string; readonly special: boolean });
    const joined = shown.filter(({ special }) => !special).map((token) => token.text);
    return (
      whole.generated_text === written &&
      streamed.at(-1)?.generated_text === written &&
      joined.join('') === written &&
      JSON.stringify(whole.details.tokens) === JSON.stringify(shown)
    );
  });
  await assert(property, { numRuns: 200 });
});

test("the texts of a stream of Weft's own make up the texts of a whole reply, whatever the order of several answers", async () => {
  const property = asyncProperty(answers, order, async (all, turns) => {
    generator.events = mix(
      all.map(([written, at], choice) => answerOf(tokensOf(written, at), choice)),
      turns,
    );
    const whole = (await post('/generate', { prompt: 'x', n: 3 })).json();
    const streamed = eventsOf((await post('/generate', { prompt: 'x', n: 3, stream: true })).body);
    const joined = all.map((_, choice) =>
      streamed.flatMap(([name, data]) => (name === 'token' && data.choice === choice ? [data.text] : [])).join(''),
    );
    const written = JSON.stringify(all.map(([each]) => each));
    const choices = whole.choices as readonly { readonly text: string }[];
    return JSON.stringify(joined) === written && JSON.stringify(choices.map((each) => each.text)) === written;
  });
  await assert(property, { numRuns: 200 });
});
