import { readFile } from 'node:fs/promises';
import { type CommandLine, flagOf, type Settings } from '../config/index.ts';
import { EngineError, greedy, messageOf, type StepRow, UserError } from '../core/index.ts';
import { OrtModelRunner } from '../engine/index.ts';
import { openDevice } from '../library/index.ts';
import type { TokenSampler } from '../sampling/index.ts';
import { embeddedModelFolder } from '../store/index.ts';
import { loadTokenizer } from '../tokenizer/index.ts';
import { openByName } from './open-model.ts';

const maxWindowTokens = 256;
const numRows = 50;
const documentSeparator = '<|endoftext|>';

/** How a precision predicts the tokens of a text. */
interface Reading {
  /** Sum of the negative log probabilities of the tokens of the text (nats). */
  readonly lossSum: number;
  /** The most likely token at each place of each window. */
  readonly likeliest: readonly Int32Array[];
}

/** `weft bench quality`: how well each precision predicts a text, and how often its most likely token is that of fp32. */
export async function benchQuality({ settings, operands }: CommandLine): Promise<void> {
  const [file = '', name = embeddedModelFolder] = operands;
  const variants = variantsOn(settings);
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new UserError(`${file} cannot be read: ${messageOf(error)}`);
  });
  const { folder, model: fp32 } = await openByName(name, settings, 'fp32');
  const windowTokens = Math.min(maxWindowTokens, fp32.config.maxPositions);
  const windows = await windowsOf(text, folder, windowTokens);
  if (windows.length === 0) throw new UserError(`${file} has fewer than the ${windowTokens} tokens of a window`);
  const numTokens = windows.reduce((sum, tokens) => sum + tokens.length - 1, 0);
  const lines = [
    '| precision | loss (nats per token) | perplexity | most likely token as in fp32 |',
    '| --- | --- | --- | --- |',
  ];
  let reference: Reading | undefined;
  for (const { precision, session, label } of variants) {
    const { model } = await openByName(name, settings, precision);
    const limits = { maxBatchSize: numRows, maxModelLen: windowTokens, maxStepTokens: 2 * numRows };
    const reading = await read(windows, (sampler) => new OrtModelRunner({ model, limits, session, sampler }));
    reference ??= reading;
    const loss = reading.lossSum / numTokens;
    const same = `${(100 * agreement(reading, reference)).toFixed(2)} %`;
    lines.push(`| ${[label, loss.toFixed(4), Math.exp(loss).toFixed(3), same].join(' | ')} |`);
  }
  process.stdout.write(`${lines.join('\n')}\n\n${numTokens} tokens in windows of ${windowTokens}\n`);
}

/** The precisions to compare. The first one is fp32 on the CPU, even if the others run on a device. @throws {UserError} the device cannot be used */
function variantsOn(settings: Pick<Settings, 'device' | 'threads' | 'spinning'>) {
  const cpu = openDevice({ ...settings, device: 'cpu' }, flagOf);
  const { device, description, precisions, session } = openDevice(settings, flagOf);
  const isDevice = device.kind !== 'cpu';
  const all = precisions.map((precision) => {
    return { precision, session, label: isDevice ? `${precision} on ${description}` : precision };
  });
  return isDevice ? [{ precision: 'fp32', session: cpu.session, label: 'fp32' } as const, ...all] : all;
}

/** The documents of the text, concatenated and cut into windows. An incomplete last window is dropped. @throws {UserError} no tokenizer */
async function windowsOf(text: string, folder: string, windowTokens: number): Promise<number[][]> {
  const tokenizer = await loadTokenizer(folder);
  if (tokenizer === undefined) throw new UserError(`${folder} has no tokenizer to read a text with`);
  const tokens: number[] = [];
  const options = { addSpecialTokens: true, signal: new AbortController().signal };
  try {
    for (const document of text.split(documentSeparator)) {
      for (const id of await tokenizer.encode(document.trim(), options)) tokens.push(id);
    }
  } finally {
    await tokenizer.dispose();
  }
  const numWindows = Math.floor(tokens.length / windowTokens);
  return Array.from({ length: numWindows }, (_, i) => tokens.slice(i * windowTokens, (i + 1) * windowTokens));
}

/** Feeds the windows token by token, many side by side, as a server does. */
async function read(
  windows: readonly (readonly number[])[],
  runnerOf: (sampler: TokenSampler) => OrtModelRunner,
): Promise<Reading> {
  const likeliest = windows.map((window) => new Int32Array(window.length - 1));
  let lossSum = 0;
  // A row's seed says which window it reads; the token drawn is the next one of the text.
  const runner = runnerOf({
    needs: () => 'all',
    adjusts: () => false,
    adjust: () => {},
    draw: ({ logits }, { params: { seed: window }, tokenIndex: place }) => {
      const tokenId = windows[window]?.[place + 1] ?? 0;
      const { best, logSum } = summary(logits);
      const places = likeliest[window];
      if (places !== undefined) places[place] = best;
      lossSum += logSum - (logits[tokenId] ?? 0);
      return [tokenId];
    },
    drawAmong: () => undefined,
  });
  const numPlaces = (windows[0]?.length ?? 1) - 1;
  try {
    for (let first = 0; first < windows.length; first += numRows) {
      const batch = windows.slice(first, first + numRows);
      for (let place = 0; place < numPlaces; place++) {
        const rows = batch.map((tokens, slot): StepRow => {
          const params = { ...greedy, temperature: 1, seed: first + slot };
          return {
            slot,
            start: place,
            tokenIds: [tokens[place] ?? 0],
            sample: { params, tokenIndex: place, choices: [0] },
          };
        });
        for (const result of await runner.run({ moves: [], rows })) if (result instanceof EngineError) throw result;
      }
    }
  } finally {
    runner.dispose();
  }
  return { lossSum, likeliest };
}

function summary(logits: Float32Array): { readonly best: number; readonly logSum: number } {
  let best = 0;
  for (let id = 1; id < logits.length; id++) if ((logits[id] ?? 0) > (logits[best] ?? 0)) best = id;
  const max = logits[best] ?? 0;
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - max);
  return { best, logSum: max + Math.log(sum) };
}

function agreement({ likeliest }: Reading, reference: Reading): number {
  let numSame = 0;
  let numPlaces = 0;
  for (const [window, places] of likeliest.entries()) {
    numPlaces += places.length;
    for (const [place, id] of places.entries()) if (reference.likeliest[window]?.[place] === id) numSame++;
  }
  return numSame / numPlaces;
}
