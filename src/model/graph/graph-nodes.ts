import { elementType, type Initializer, type Node } from '../onnx-schema.ts';

/** A node of a small graph, named after its output. */
export function node(opType: string, input: readonly string[], output: string): Node {
  return { opType, domain: '', name: output, input, output: [output], attribute: [] };
}

export function int64Constant(name: string, ...values: readonly number[]): Initializer {
  const { buffer } = BigInt64Array.from(values, BigInt);
  return { name, dataType: elementType.int64, dims: [values.length], rawData: Buffer.from(buffer) };
}
