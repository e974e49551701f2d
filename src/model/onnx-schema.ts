import protobuf from 'protobufjs/light.js';

const repeated = { rule: 'repeated' } as const;

/** The parts of ONNX's messages that Weft writes or reads. Source: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3 */
const root = protobuf.Root.fromJSON({
  nested: {
    ModelProto: {
      fields: {
        irVersion: { type: 'int64', id: 1 },
        producerName: { type: 'string', id: 2 },
        graph: { type: 'GraphProto', id: 7 },
        opsetImport: { type: 'OperatorSetIdProto', id: 8, ...repeated },
      },
    },
    OperatorSetIdProto: { fields: { domain: { type: 'string', id: 1 }, version: { type: 'int64', id: 2 } } },
    GraphProto: {
      fields: {
        node: { type: 'NodeProto', id: 1, ...repeated },
        name: { type: 'string', id: 2 },
        initializer: { type: 'TensorProto', id: 5, ...repeated },
        input: { type: 'ValueInfoProto', id: 11, ...repeated },
        output: { type: 'ValueInfoProto', id: 12, ...repeated },
      },
    },
    NodeProto: {
      fields: {
        input: { type: 'string', id: 1, ...repeated },
        output: { type: 'string', id: 2, ...repeated },
        name: { type: 'string', id: 3 },
        opType: { type: 'string', id: 4 },
        attribute: { type: 'AttributeProto', id: 5, ...repeated },
        domain: { type: 'string', id: 7 },
      },
    },
    AttributeProto: {
      fields: {
        name: { type: 'string', id: 1 },
        f: { type: 'float', id: 2 },
        i: { type: 'int64', id: 3 },
        s: { type: 'bytes', id: 4 },
        t: { type: 'TensorProto', id: 5 },
        g: { type: 'GraphProto', id: 6 },
        type: { type: 'int32', id: 20 },
      },
    },
    TensorProto: {
      fields: {
        dims: { type: 'int64', id: 1, ...repeated },
        dataType: { type: 'int32', id: 2 },
        floatData: { type: 'float', id: 4, ...repeated },
        int32Data: { type: 'int32', id: 5, ...repeated },
        name: { type: 'string', id: 8 },
        rawData: { type: 'bytes', id: 9 },
        externalData: { type: 'StringStringEntryProto', id: 13, ...repeated },
        dataLocation: { type: 'int32', id: 14 },
      },
    },
    StringStringEntryProto: { fields: { key: { type: 'string', id: 1 }, value: { type: 'string', id: 2 } } },
    ValueInfoProto: { fields: { name: { type: 'string', id: 1 }, type: { type: 'TypeProto', id: 2 } } },
    TypeProto: { fields: { tensorType: { type: 'TensorTypeProto', id: 1 } } },
    TensorTypeProto: { fields: { elemType: { type: 'int32', id: 1 }, shape: { type: 'TensorShapeProto', id: 2 } } },
    TensorShapeProto: { fields: { dim: { type: 'DimensionProto', id: 1, ...repeated } } },
    DimensionProto: { fields: { dimValue: { type: 'int64', id: 1 }, dimParam: { type: 'string', id: 2 } } },
  },
});

/** `TensorProto.DataType`. */
export const elementType = { float32: 1, uint8: 2, int8: 3, int32: 6, int64: 7, float16: 10, bfloat16: 16 } as const;
export type ElementType = 'float32' | 'float16' | 'int32' | 'int64';

/** A tensor's extents: a number, or the name of an extent that is known only at run time. */
export type Shape = readonly (number | string)[];

interface Attribute {
  readonly name: string;
  readonly type: number;
  readonly f?: number;
  readonly i?: number;
  readonly s?: Buffer;
}

export interface Node {
  readonly opType: string;
  readonly domain: string;
  readonly name: string;
  readonly input: readonly string[];
  readonly output: readonly string[];
  readonly attribute: readonly Attribute[];
}

export interface Initializer {
  readonly name: string;
  readonly dataType: number;
  readonly dims: readonly number[];
  readonly rawData?: Buffer;
  readonly dataLocation?: number;
  readonly externalData?: readonly { readonly key: string; readonly value: string }[];
}

export interface ValueInfo {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: Shape;
}

export interface Graph {
  readonly nodes: readonly Node[];
  readonly initializers: readonly Initializer[];
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
}

/** An attribute of a node. Numbers are ints; a float is written as `{ float }`. */
export function attribute(name: string, value: number | string | { readonly float: number }): Attribute {
  if (typeof value === 'number') return { name, type: 2, i: value };
  if (typeof value === 'string') return { name, type: 3, s: Buffer.from(value) };
  return { name, type: 1, f: value.float };
}

/** ONNX 1.16 introduced IR 10 and operator set 21; ONNX Runtime supports them since 1.18. */
const irVersion = 10;
const opset = 21;

/** The bytes of an `.onnx` file. */
export function encodeModel(graph: Graph): Uint8Array {
  const modelProto = root.lookupType('ModelProto');
  const message = modelProto.fromObject({
    irVersion,
    producerName: 'weft',
    opsetImport: [
      { domain: '', version: opset },
      { domain: 'com.microsoft', version: 1 },
    ],
    graph: {
      name: 'decoder',
      node: graph.nodes,
      initializer: graph.initializers,
      input: graph.inputs.map(valueInfoProto),
      output: graph.outputs.map(valueInfoProto),
    },
  });
  return modelProto.encode(message).finish();
}

/** A graph read from a file; absent fields are empty. */
export interface ReadGraph {
  readonly node: readonly ReadNode[];
  readonly initializer: readonly ReadTensor[];
}

export interface ReadNode {
  readonly opType: string;
  readonly name: string;
  readonly input: readonly string[];
  readonly output: readonly string[];
  readonly attribute: readonly ReadAttribute[];
}

interface ReadAttribute {
  readonly name: string;
  readonly i: number;
  /** The tensor of a `Constant`. */
  readonly t: ReadTensor | null;
  /** A branch of an `If`. */
  readonly g: ReadGraph | null;
}

/** The numbers are in one of `rawData`, `floatData`, `int32Data`, or in another file. */
export interface ReadTensor {
  readonly name: string;
  readonly dataType: number;
  readonly dims: readonly number[];
  readonly rawData: Uint8Array;
  readonly floatData: readonly number[];
  readonly int32Data: readonly number[];
  readonly externalData: readonly { readonly key: string; readonly value: string }[];
}

/** The graph of an `.onnx` file. Raw data are views of `bytes`. @throws {Error} not an ONNX model */
export function decodeModel(bytes: Uint8Array): ReadGraph {
  const modelProto = root.lookupType('ModelProto');
  const model = modelProto.toObject(modelProto.decode(bytes), { longs: Number, defaults: true });
  if (model.graph == null) throw new Error('it holds no graph');
  return model.graph;
}

function valueInfoProto({ name, type, shape }: ValueInfo) {
  const dim = shape.map((extent) => (typeof extent === 'number' ? { dimValue: extent } : { dimParam: extent }));
  return { name, type: { tensorType: { elemType: elementType[type], shape: { dim } } } };
}
