import type { GraphIo } from '../graph/graph-io.ts';
import type { GraphWriter } from '../graph/graph-writer.ts';
import type { LinearInput, LinearLayers, LinearOutput } from '../graph/linear-layers.ts';
import type { Parameters } from './parameters.ts';

/** What a {@link NetworkBuilder} builds with. */
export interface NetworkParts {
  readonly graph: GraphWriter;
  readonly io: GraphIo;
  readonly linears: LinearLayers;
  readonly parameters: Parameters;
  /** Called when the embeddings or a layer are complete. */
  readonly onBlock: () => void;
}

/** What a linear layer computes on: one row per token of the run, unless `rowsOf` names another input. */
type RowInput = Omit<LinearInput, 'rowsOf'> & Partial<Pick<LinearInput, 'rowsOf'>>;

/**
 * The building blocks of a network. A block has the name of the module that holds its parameters in the checkpoint, without the
 * prefix; shapes, and whether there is a bias, come from the parameter list.
 */
export class NetworkBuilder {
  /** For nodes and weights of the architecture's own. */
  readonly graph: GraphWriter;
  readonly io: GraphIo;
  readonly parameters: Parameters;
  readonly #linears: LinearLayers;
  readonly #onBlock: () => void;

  constructor({ graph, io, linears, parameters, onBlock }: NetworkParts) {
    this.graph = graph;
    this.io = io;
    this.parameters = parameters;
    this.#linears = linears;
    this.#onBlock = onBlock;
  }

  /** Reports that the embeddings or a layer are complete. */
  blockDone(): void {
    this.#onBlock();
  }

  async linear(name: string, input: RowInput): Promise<LinearOutput> {
    const { parameters } = this;
    const [to, from] = parameters.matrixOf(`${name}.weight`);
    const weight = await parameters.read(`${name}.weight`);
    const bias = parameters.has(`${name}.bias`) ? await parameters.read(`${name}.bias`) : undefined;
    return this.#linears.write(name, { rowsOf: this.io.tokens, ...input }, { weight, bias, from, to });
  }

  /** Several linear layers over one input as a single one: their outputs side by side. All have a bias, or none. */
  async stacked(name: string, modules: readonly string[], input: RowInput): Promise<LinearOutput> {
    const { parameters } = this;
    const [, from] = parameters.matrixOf(`${modules[0]}.weight`);
    const to = modules.reduce((sum, module) => sum + parameters.matrixOf(`${module}.weight`)[0], 0);
    const weight = new Float32Array(to * from);
    const bias = parameters.has(`${modules[0]}.bias`) ? new Float32Array(to) : undefined;
    let row = 0;
    for (const module of modules) {
      weight.set(await parameters.read(`${module}.weight`), row * from);
      bias?.set(await parameters.read(`${module}.bias`), row);
      row += parameters.matrixOf(`${module}.weight`)[0];
    }
    return this.#linears.write(name, { rowsOf: this.io.tokens, ...input }, { weight, bias, from, to });
  }

  /** The value of a layer's output, with its bias added if the layer has left that to its reader. */
  settled(name: string, { value, bias }: LinearOutput): string {
    return bias === undefined ? value : this.graph.node('Add', name, [value, bias]);
  }

  /** Layer normalization. @param size of a row; a norm without weights of its own has scale 1 and bias 0 */
  async layerNorm(name: string, input: string, { size, epsilon }: LayerNormOptions): Promise<string> {
    const { graph, parameters } = this;
    const [weight, bias] = [`${name}.weight`, `${name}.bias`];
    const scales = parameters.has(weight) ? await parameters.read(weight) : new Float32Array(size).fill(1);
    const biases = parameters.has(bias) ? await parameters.read(bias) : new Float32Array(size);
    await graph.weight(weight, [size], scales);
    await graph.weight(bias, [size], biases);
    const attributes = { axis: -1, epsilon: { float: epsilon } };
    return graph.node('LayerNormalization', `${name}.out`, [input, weight, bias], attributes);
  }

  /**
   * Writes the head and declares the outputs.
   * @param input the rows that get logits
   * @param weightName the matrix `[vocabulary, from]`; tied embeddings have that of the table
   */
  async head(input: LinearInput, weightName: string): Promise<void> {
    const [to, from] = this.parameters.matrixOf(weightName);
    // A tied head has a copy of the table: ONNX Runtime repacks the matrix of a product, and reads from a table that is only looked
    // up no more than the rows in use.
    const weight = await this.parameters.read(weightName);
    await this.#linears.write(this.io.head, input, { weight, from, to });
    this.io.end();
  }
}

interface LayerNormOptions {
  readonly size: number;
  readonly epsilon: number;
}
