import { createHash } from 'node:crypto';
import { type FileHandle, open, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type FileContent, writeFully } from '../../files/index.ts';
import { attribute, elementType, encodeModel, type Initializer, type Node, type ValueInfo } from '../onnx-schema.ts';
import { toFloat16 } from '../weights/float-types.ts';

/** The graph's file, and the one with its weights in the same folder. */
export const graphFile = 'model.onnx';
export const dataFile = 'model.onnx.data';

/** The content of both files. */
export type GraphFiles = Readonly<Record<typeof graphFile | typeof dataFile, FileContent>>;

/** Weights are page-aligned, so that ONNX Runtime can map them instead of reading them. */
const alignment = 4096;

/** Small enough not to block the event loop for long; Node.js hashes less than 2 GiB at a time. */
const pieceBytes = 2 ** 25;

type Attributes = Readonly<Record<string, number | string | { readonly float: number }>>;

type TensorValues = Float32Array | Uint16Array | Int8Array | Uint8Array | BigInt64Array;

/** The number format that a graph computes in. */
export type ComputeType = 'float32' | 'float16';

function elementTypeOf(values: TensorValues): number {
  if (values instanceof Float32Array) return elementType.float32;
  // JavaScript has no array of float16: the bits are kept as integers.
  if (values instanceof Uint16Array) return elementType.float16;
  if (values instanceof Int8Array) return elementType.int8;
  return values instanceof Uint8Array ? elementType.uint8 : elementType.int64;
}

/** Writes an ONNX graph. Nodes are collected in memory; weights go straight to their file. */
export class GraphWriter {
  /** The type that float32 weights are stored in, and so the type of the results. */
  readonly computeType: ComputeType;
  readonly #folder: string;
  readonly #data: FileHandle;
  #dataEnd = 0;
  readonly #dataHash = createHash('sha256');
  readonly #nodes: Node[] = [];
  readonly #initializers: Initializer[] = [];
  readonly #inputs: ValueInfo[] = [];
  readonly #outputs: ValueInfo[] = [];

  private constructor(folder: string, data: FileHandle, computeType: ComputeType) {
    this.computeType = computeType;
    this.#folder = folder;
    this.#data = data;
  }

  /** @param folder an existing folder, which gets `model.onnx` and `model.onnx.data` */
  static async create(folder: string, computeType: ComputeType = 'float32'): Promise<GraphWriter> {
    return new GraphWriter(folder, await open(path.join(folder, dataFile), 'w'), computeType);
  }

  get path(): string {
    return path.join(this.#folder, graphFile);
  }

  input(info: ValueInfo): string {
    this.#inputs.push(info);
    return info.name;
  }

  output(info: ValueInfo): string {
    this.#outputs.push(info);
    return info.name;
  }

  /**
   * Adds a node. ONNX Runtime's own operators are written `com.microsoft.Name`; an absent optional input is ''.
   * @param output the output, or all outputs; the node is named after the first one, which is returned
   */
  node(
    opType: string,
    output: string | readonly [string, ...string[]],
    input: readonly string[],
    attributes: Attributes = {},
  ): string {
    const outputs: readonly [string, ...string[]] = typeof output === 'string' ? [output] : output;
    const dot = opType.lastIndexOf('.');
    this.#nodes.push({
      opType: opType.slice(dot + 1),
      domain: opType.slice(0, Math.max(0, dot)),
      name: outputs[0],
      input,
      output: outputs,
      attribute: Object.entries(attributes).map(([key, value]) => attribute(key, value)),
    });
    return outputs[0];
  }

  /** Adds a small constant, stored in the graph itself. */
  constant(name: string, dims: readonly number[], values: TensorValues): string {
    const rawData = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
    this.#initializers.push({ name, dataType: elementTypeOf(values), dims, rawData });
    return name;
  }

  /** Adds a weight, stored in the file of weights. */
  async weight(name: string, dims: readonly number[], given: TensorValues): Promise<string> {
    const values = given instanceof Float32Array && this.computeType === 'float16' ? toFloat16(given) : given;
    const offset = Math.ceil(this.#dataEnd / alignment) * alignment;
    await this.#append(Buffer.alloc(offset - this.#dataEnd));
    await this.#append(Buffer.from(values.buffer, values.byteOffset, values.byteLength));
    const externalData = Object.entries({ location: dataFile, offset, length: values.byteLength }).map(
      ([key, value]) => ({
        key,
        value: String(value),
      }),
    );
    this.#initializers.push({ name, dataType: elementTypeOf(values), dims, dataLocation: 1, externalData });
    return name;
  }

  /** Writes the graph itself, after its weights. @returns what the files hold */
  async finish(): Promise<GraphFiles> {
    await this.#data.sync();
    const graph = {
      nodes: this.#nodes,
      initializers: this.#initializers,
      inputs: this.#inputs,
      outputs: this.#outputs,
    };
    const bytes = encodeModel(graph);
    await writeFile(this.path, bytes, { flush: true });
    return {
      [graphFile]: { bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') },
      [dataFile]: { bytes: this.#dataEnd, sha256: this.#dataHash.digest('hex') },
    };
  }

  async #append(bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      const piece = bytes.subarray(at, at + pieceBytes);
      const written = writeFully(this.#data, { bytes: piece, position: this.#dataEnd });
      // Hashes while another thread writes.
      this.#dataHash.update(piece);
      await written;
      this.#dataEnd += piece.length;
    }
  }

  async close(): Promise<void> {
    await this.#data.close();
  }
}
