import path from 'node:path';
import type { Architecture, NetworkBuilder, Parameter } from '../../src/model/index.ts';
import { SafetensorsWeights } from '../../src/model/weights/safetensors.ts';

/** A made-up architecture with sizes of its own: four heads share two key and value heads, and the heads are wider than the rest. */
export const sizes = {
  numLayers: 2,
  numHeads: 4,
  numKvHeads: 2,
  headSize: 16,
  hiddenSize: 40,
  vocabSize: 97,
  maxPositions: 48,
  eosTokenIds: [96],
};
const epsilon = 1e-6;
const { numLayers, numHeads, numKvHeads, headSize, hiddenSize, vocabSize, maxPositions } = sizes;

export const toyConfig = { model_type: 'toy', flavour: 'sweet' };

/** Norm, attention, norm, ReLU, one matrix; twice. The norms have no bias, and the head is tied. */
export const toy: Architecture = {
  modelType: 'toy',
  label: 'Toy',
  prefixes: ['toy.', ''],
  publishedConfigs: { 'toy-tiny': toyConfig },
  read: ({ flavour }) => ({
    sizes,
    identity: { flavour },
    parameters: () => [
      { name: 'toy.words.weight', shape: [vocabSize, hiddenSize], kind: 'embedding' },
      { name: 'toy.places.weight', shape: [maxPositions, hiddenSize], kind: 'embedding' },
      ...Array.from({ length: numLayers }, (_, layer) => layerParameters(`toy.block.${layer}`)).flat(),
      { name: 'toy.norm.weight', shape: [hiddenSize], kind: 'scale' },
    ],
    write,
  }),
};

function layerParameters(at: string): Parameter[] {
  return [
    { name: `${at}.before.weight`, shape: [hiddenSize], kind: 'scale' },
    { name: `${at}.query.weight`, shape: [numHeads * headSize, hiddenSize], kind: 'linear' },
    { name: `${at}.key.weight`, shape: [numKvHeads * headSize, hiddenSize], kind: 'linear' },
    { name: `${at}.value.weight`, shape: [numKvHeads * headSize, hiddenSize], kind: 'linear' },
    { name: `${at}.out.weight`, shape: [hiddenSize, numHeads * headSize], kind: 'linear' },
    { name: `${at}.out.bias`, shape: [hiddenSize], kind: 'bias' },
    { name: `${at}.between.weight`, shape: [hiddenSize], kind: 'scale' },
    { name: `${at}.feed.weight`, shape: [hiddenSize, hiddenSize], kind: 'linear' },
  ];
}

async function write(builder: NetworkBuilder): Promise<void> {
  const { graph, io, parameters } = builder;
  const norm = (name: string, input: string) => builder.layerNorm(name, input, { size: hiddenSize, epsilon });
  const { ids, positions } = io.begin();
  for (const table of ['words', 'places']) {
    await graph.weight(table, parameters.shapeOf(`${table}.weight`), await parameters.read(`${table}.weight`));
  }
  const word = graph.node('Gather', 'word', ['words', ids]);
  const place = graph.node('Gather', 'place', ['places', positions]);
  let hidden = graph.node('Add', 'embedded', [word, place]);
  builder.blockDone();
  for (let layer = 0; layer < numLayers; layer++) {
    const at = `block.${layer}`;
    const modules = ['query', 'key', 'value'].map((name) => `${at}.${name}`);
    const qkv = await builder.stacked(`${at}.qkv`, modules, { value: await norm(`${at}.before`, hidden) });
    const attended = io.attend(layer, builder.settled(`${at}.qkv.biased`, qkv));
    const out = await builder.linear(`${at}.out`, { value: attended });
    hidden = graph.node('Add', `${at}.middle`, [hidden, builder.settled(`${at}.out.biased`, out)]);
    const normed = await norm(`${at}.between`, hidden);
    const fed = await builder.linear(`${at}.feed`, { value: normed, isRectified: true });
    hidden = graph.node('Add', `${at}.end`, [hidden, builder.settled(`${at}.feed.biased`, fed)]);
    builder.blockDone();
  }
  const { value, rowsOf } = io.sampled(hidden);
  await builder.head({ value: await norm('norm', value), rowsOf }, 'words.weight');
}

type Vector = readonly number[];

/** The same network in plain arithmetic, computed from the start for every token. */
export class ToyReference {
  readonly #weights: ReadonlyMap<string, Float32Array>;

  private constructor(weights: ReadonlyMap<string, Float32Array>) {
    this.#weights = weights;
  }

  static async load(folder: string): Promise<ToyReference> {
    const file = await SafetensorsWeights.open(path.join(folder, 'model.safetensors'));
    const weights = new Map<string, Float32Array>();
    for (const { name } of toy.read(toyConfig).parameters()) weights.set(name, await file.read(name));
    await file.close();
    return new ToyReference(weights);
  }

  generate(prompt: readonly number[], numTokens: number): number[] {
    const tokens = [...prompt];
    for (let i = 0; i < numTokens; i++) {
      const logits = this.#logits(tokens);
      tokens.push(logits.indexOf(Math.max(...logits)));
    }
    return tokens.slice(prompt.length);
  }

  #logits(tokens: readonly number[]): Vector {
    let rows = tokens.map((id, at) => sum(this.#row('words', id), this.#row('places', at)));
    for (let layer = 0; layer < numLayers; layer++) {
      const at = `block.${layer}`;
      const attended = this.#attend(
        at,
        rows.map((row) => this.#norm(`${at}.before`, row)),
      );
      const bias = [...this.#weight(`${at}.out.bias`)];
      rows = rows.map((row, i) => sum(row, sum(this.#product(`${at}.out`, attended[i] ?? []), bias)));
      rows = rows.map((row) => {
        const rectified = this.#norm(`${at}.between`, row).map((x) => Math.max(0, x));
        return sum(row, this.#product(`${at}.feed`, rectified));
      });
    }
    return this.#product('words', this.#norm('norm', rows.at(-1) ?? []));
  }

  #attend(at: string, rows: readonly Vector[]): Vector[] {
    const [queries, keys, values] = ['query', 'key', 'value'].map((name) =>
      rows.map((row) => this.#product(`${at}.${name}`, row)),
    );
    return rows.map((_, i) =>
      Array.from({ length: numHeads }, (_, head) => {
        const query = headOf(queries?.[i], head);
        const kvHead = Math.floor((head * numKvHeads) / numHeads);
        const past = rows.slice(0, i + 1).map((_, j) => ({
          score: Math.exp(dot(query, headOf(keys?.[j], kvHead)) / Math.sqrt(headSize)),
          value: headOf(values?.[j], kvHead),
        }));
        const total = past.reduce((all, { score }) => all + score, 0);
        return query.map((_, d) => past.reduce((all, { score, value }) => all + (score / total) * (value[d] ?? 0), 0));
      }).flat(),
    );
  }

  #norm(name: string, row: Vector): Vector {
    const mean = row.reduce((all, x) => all + x, 0) / row.length;
    const variance = row.reduce((all, x) => all + (x - mean) ** 2, 0) / row.length;
    const scales = this.#weight(`${name}.weight`);
    return row.map((x, i) => ((x - mean) / Math.sqrt(variance + epsilon)) * (scales[i] ?? 0));
  }

  /** A row of a table, or of a matrix. */
  #row(name: string, index: number, width = hiddenSize): Vector {
    return [...this.#weight(`${name}.weight`).subarray(index * width, (index + 1) * width)];
  }

  #product(name: string, row: Vector): Vector {
    const numRows = this.#weight(`${name}.weight`).length / row.length;
    return Array.from({ length: numRows }, (_, i) => dot(this.#row(name, i, row.length), row));
  }

  #weight(name: string): Float32Array {
    return this.#weights.get(`toy.${name}`) ?? new Float32Array();
  }
}

function headOf(row: Vector | undefined, head: number): Vector {
  return row?.slice(head * headSize, (head + 1) * headSize) ?? [];
}

function sum(a: Vector, b: Vector): Vector {
  return a.map((x, i) => x + (b[i] ?? 0));
}

function dot(a: Vector, b: Vector): number {
  return a.reduce((all, x, i) => all + x * (b[i] ?? 0), 0);
}
