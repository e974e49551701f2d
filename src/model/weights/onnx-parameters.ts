import type { ReadGraph, ReadNode, ReadTensor } from '../onnx-schema.ts';

/** A weight of the network as the graph holds it. */
export interface OnnxParameter {
  readonly tensor: ReadTensor;
  /** Stored as [in, out], where PyTorch has [out, in]. */
  readonly isTransposed: boolean;
}

/** What was found in a graph. */
interface FoundParameters {
  readonly parameters: ReadonlyMap<string, OnnxParameter>;
  /** An operator that only quantized graphs have, if there is one. */
  readonly quantizedOperator: string | undefined;
}

/**
 * The weights of an OPT decoder in an exported graph, by their names below the decoder (`layers.0.fc1.weight`), and `lm_head.weight`.
 * The exporter renames what it folds (`onnx::MatMul_663`), but names a node after the module that it came from
 * (`/decoder/layers.0/self_attn/q_proj/MatMul`), so a weight is what such a node computes with.
 * PyTorch's newer exporter (`dynamo=True`) keeps neither name: nothing is found in what it writes.
 */
export function findParameters(graph: ReadGraph): FoundParameters {
  const values = new Values(graph);
  const parameters = new Map<string, OnnxParameter>();
  for (const node of values.nodes) {
    const module = moduleOf(node.name);
    if (module === undefined) continue;
    for (const use of weightsUsed(node)) {
      const origin = values.originOf(node.input[use.input] ?? '');
      if (origin === undefined || (use.isVector && origin.tensor.dims.length !== 1)) continue;
      const isTransposed = use.isTransposed !== origin.isTransposed;
      parameters.set(`${module}.${use.part}`, { tensor: origin.tensor, isTransposed });
    }
  }
  const quantizing = values.nodes.find(({ opType }) => /quant|integer|nbits|^qlinear/i.test(opType));
  return { parameters, quantizedOperator: quantizing?.opType };
}

/** How an operator uses one of its inputs, if that input is a weight. */
interface WeightUse {
  readonly input: number;
  readonly part: 'weight' | 'bias';
  readonly isTransposed: boolean;
  /** Only a vector is meant: the operator also computes other things. */
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
    // A norm in pieces, as it was before operator set 17; and the bias behind a MatMul.
    case 'Mul':
      return [0, 1].map((input) => ({ ...weight, input, isVector: true }));
    case 'Add':
      return [0, 1].map((input) => ({ ...bias, input }));
    default:
      return [];
  }
}

/** `/model/decoder/layers.0/fc1/Gemm` → `layers.0.fc1`; undefined for a node of no module below the decoder. */
function moduleOf(nodeName: string): string | undefined {
  const modules = nodeName.split('/').slice(0, -1);
  if (modules.at(-1) === 'lm_head') return 'lm_head';
  const below = modules.lastIndexOf('decoder') + 1;
  return below > 0 && below < modules.length ? modules.slice(below).join('.') : undefined;
}

/** More nodes than any exporter puts between a weight and its use. */
const maxHops = 16;

/** The nodes of a graph and of the branches in it, and where their values come from. */
class Values {
  readonly nodes: ReadNode[] = [];
  readonly #tensors = new Map<string, ReadTensor>();
  readonly #producers = new Map<string, ReadNode>();

  constructor(graph: ReadGraph) {
    this.#collect(graph);
  }

  /** The tensor that a value is, if nothing but its form was changed on the way. */
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
