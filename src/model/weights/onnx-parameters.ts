import type { ReadGraph, ReadNode, ReadTensor } from '../onnx-schema.ts';

/** A weight as an exported graph stores it. */
export interface OnnxParameter {
  readonly tensor: ReadTensor;
  /** Whether it is stored as [in, out], while PyTorch has [out, in]. */
  readonly isTransposed: boolean;
}

/** What a graph contains. */
interface FoundParameters {
  readonly parameters: ReadonlyMap<string, OnnxParameter>;
  /** An operator that only quantized graphs have. */
  readonly quantizedOperator: string | undefined;
}

/**
 * Finds the weights of an exported graph by their PyTorch names (`decoder.layers.0.fc1.weight`).
 * The exporter renames weights that it folds (`onnx::MatMul_663`), but it names each node after its module
 * (`/decoder/layers.0/self_attn/q_proj/MatMul`). So the weights are found as the inputs of such nodes. Exporters may wrap the model in
 * modules of their own, so a weight is known by every ending of its path.
 * PyTorch's newer exporter (`dynamo=True`) keeps neither name: nothing is found in its graphs.
 */
export function findParameters(graph: ReadGraph): FoundParameters {
  const values = new Values(graph);
  const parameters = new Map<string, OnnxParameter>();
  for (const node of values.nodes) {
    const modules = modulesOf(node.name);
    if (modules.length === 0) continue;
    for (const use of weightsUsed(node)) {
      const origin = values.originOf(node.input[use.input] ?? '');
      if (origin === undefined || (use.isVector && origin.tensor.dims.length !== 1)) continue;
      const isTransposed = use.isTransposed !== origin.isTransposed;
      const parameter = { tensor: origin.tensor, isTransposed };
      for (const module of modules) parameters.set(`${module}.${use.part}`, parameter);
    }
  }
  const quantizing = values.nodes.find(({ opType }) => /quant|integer|nbits|^qlinear/i.test(opType));
  return { parameters, quantizedOperator: quantizing?.opType };
}

/** How an operator uses an input that is a weight. */
interface WeightUse {
  readonly input: number;
  readonly part: 'weight' | 'bias';
  readonly isTransposed: boolean;
  /** Whether the weight has to be a vector, because the operator also does other work. */
  readonly isVector: boolean;
}

function weightsUsed(node: ReadNode): WeightUse[] {
  const weight = { part: 'weight', isTransposed: false, isVector: false } as const;
  const bias = { part: 'bias', isTransposed: false, isVector: true } as const;
  switch (node.opType) {
    case 'Gather':
      return [{ ...weight, input: 0 }];
    case 'MatMul':
      return [{ ...weight, input: 1, isTransposed: true }];
    case 'Gemm': {
      const isTransposed = node.attribute.find(({ name }) => name === 'transB')?.i !== 1;
      return [
        { ...weight, input: 1, isTransposed },
        { ...bias, input: 2 },
      ];
    }
    case 'LayerNormalization':
      return [
        { ...weight, input: 1, isVector: true },
        { ...bias, input: 2 },
      ];
    // A norm in separate operators, as before operator set 17, and the bias after a MatMul.
    case 'Mul':
      return [0, 1].map((input) => ({ ...weight, input, isVector: true }));
    case 'Add':
      return [0, 1].map((input) => ({ ...bias, input }));
    default:
      return [];
  }
}

/** Deeper than the modules of any model. */
const maxDepth = 16;

/** The endings of the path of a node's module: `/decoder/layers.0/fc1/Gemm` → `decoder.layers.0.fc1`, `layers.0.fc1`, `fc1`. */
function modulesOf(nodeName: string): string[] {
  const path = nodeName.split('/').slice(0, -1).filter(Boolean);
  return path.length > maxDepth ? [] : path.map((_, start) => path.slice(start).join('.'));
}

/** More nodes than any exporter inserts between a weight and its use. */
const maxHops = 16;

/** The nodes of a graph and its branches, and the origins of their values. */
class Values {
  readonly nodes: ReadNode[] = [];
  readonly #tensors = new Map<string, ReadTensor>();
  readonly #producers = new Map<string, ReadNode>();

  constructor(graph: ReadGraph) {
    this.#collect(graph);
  }

  /** The tensor behind a value, if only its layout or type was changed on the way. */
  originOf(value: string): OnnxParameter | undefined {
    let isTransposed = false;
    for (let hop = 0; hop <= maxHops; hop++) {
      const tensor = this.#tensors.get(value);
      if (tensor !== undefined) return { tensor, isTransposed };
      const producer = this.#producers.get(value);
      if (producer?.opType === 'Transpose') isTransposed = !isTransposed;
      else if (producer?.opType !== 'Identity' && producer?.opType !== 'Cast') return undefined;
      value = producer.input[0] ?? '';
    }
    return undefined;
  }

  #collect(graph: ReadGraph): void {
    for (const tensor of graph.initializer) this.#tensors.set(tensor.name, tensor);
    for (const node of graph.node) {
      this.nodes.push(node);
      for (const output of node.output) this.#producers.set(output, node);
      for (const { t: tensor, g: branch } of node.attribute) {
        if (node.opType === 'Constant' && tensor && node.output[0]) this.#tensors.set(node.output[0], tensor);
        if (branch) this.#collect(branch);
      }
    }
  }
}
