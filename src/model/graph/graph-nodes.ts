import { elementType, type Initializer, type Node } from '../onnx-schema.ts';

/** A node of a small graph, named after its output. */
export function node(opType: string, input: readonly string[], output: string): Node {
  return { opType, domain: '', name: output, input, output: [output], attribute: [] };
}

export function int64Constant(name: string, value: number): Initializer {
  return { name, dataType: elementType.int64, dims: [1], rawData: Buffer.from(BigInt64Array.of(BigInt(value)).buffer) };
}
