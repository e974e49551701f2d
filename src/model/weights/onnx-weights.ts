import type { FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { ModelError, messageOf, show } from '../../core/index.ts';
import { openRegularFile, readExactly } from '../../files/index.ts';
import { decodeModel, elementType, type ReadTensor } from '../onnx-schema.ts';
import { bytesPerElement, type FloatType, toFloat32 } from './float-types.ts';
import { findParameters, type OnnxParameter } from './onnx-parameters.ts';
import { isSizes, numElements, type TensorInfo, type Weights } from './weights.ts';

const floatTypes = new Map<number, FloatType>([
  [elementType.float32, 'float32'],
  [elementType.float16, 'float16'],
  [elementType.bfloat16, 'bfloat16'],
]);

/**
 * The weights of a decoder exported for Optimum or transformers.js, with PyTorch's names and layout.
 * The numbers are in the `.onnx` file, which is held in memory (at most 2 GiB, protobuf's limit), or in other files of its folder.
 */
export class OnnxWeights implements Weights {
  readonly #path: string;
  readonly #parameters: ReadonlyMap<string, OnnxParameter>;
  readonly #files = new Map<string, FileHandle>();

  private constructor(path: string, parameters: ReadonlyMap<string, OnnxParameter>) {
    this.#path = path;
    this.#parameters = parameters;
  }

  /** @throws {ModelError} the file is missing or broken, its weights are quantized, or another exporter wrote it */
  static async open(path: string): Promise<OnnxWeights> {
    const bytes = await readGraph(path).catch((error: unknown) => {
      throw new ModelError(`${path} cannot be read: ${messageOf(error)}`);
    });
    const { parameters, quantizedOperator } = findParameters(graphIn(bytes, path));
    if (quantizedOperator !== undefined) {
      throw new ModelError(`${path} is quantized (it has ${quantizedOperator}): get the export in fp32 or fp16`);
    }
    if (parameters.size === 0) {
      throw new ModelError(`${path} is not an export by Optimum: its nodes are not named after the modules of a model`);
    }
    return new OnnxWeights(path, parameters);
  }

  info(name: string): TensorInfo | undefined {
    const parameter = this.#parameters.get(name);
    const dtype = parameter && floatTypes.get(parameter.tensor.dataType);
    if (parameter === undefined || dtype === undefined || !isSizes(parameter.tensor.dims)) return undefined;
    const { tensor, isTransposed } = parameter;
    return { dtype, shape: isTransposed ? tensor.dims.toReversed() : tensor.dims };
  }

  async read(name: string): Promise<Float32Array> {
    const parameter = this.#parameters.get(name);
    const info = this.info(name);
    if (parameter === undefined || info === undefined) {
      throw new ModelError(`${this.#path} has no tensor ${name} of float32, float16 or bfloat16`);
    }
    try {
      const values = await this.#values(parameter.tensor, info.dtype);
      const count = numElements(info.shape);
      if (values.length !== count) throw new Error(`it has ${values.length} of ${count} numbers`);
      return parameter.isTransposed ? transpose(values, info.shape) : values;
    } catch (error) {
      throw new ModelError(`${this.#path}: tensor ${name} cannot be read: ${messageOf(error)}`);
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#files.values()].map((file) => file.close()));
  }

  async #values(tensor: ReadTensor, dtype: FloatType): Promise<Float32Array> {
    if (tensor.externalData.length > 0) return toFloat32(await this.#externalBytes(tensor, dtype), dtype);
    if (tensor.rawData.length > 0) {
      const { buffer, byteOffset, byteLength } = tensor.rawData;
      return toFloat32(Buffer.from(buffer, byteOffset, byteLength), dtype);
    }
    if (dtype === 'float32') return Float32Array.from(tensor.floatData);
    return toFloat32(Buffer.from(Uint16Array.from(tensor.int32Data).buffer), dtype);
  }

  /** Source: https://onnx.ai/onnx/repo-docs/ExternalData.html */
  async #externalBytes({ externalData, dims }: ReadTensor, dtype: FloatType): Promise<Buffer> {
    const {
      location = '',
      offset = '0',
      length,
    } = Object.fromEntries(externalData.map(({ key, value }) => [key, value]));
    // The data are in the graph's folder: a path could name any file on the machine.
    if (location === '' || path.basename(location) !== location) {
      throw new Error(`it is said to be in ${show(location)}, which is not a file name`);
    }
    const numBytes = numElements(dims) * bytesPerElement[dtype];
    if (length !== undefined && Number(length) !== numBytes)
      throw new Error(`it takes ${length} bytes, not ${numBytes}`);
    let file = this.#files.get(location);
    if (file === undefined) {
      file = await openRegularFile(path.join(path.dirname(this.#path), location));
      this.#files.set(location, file);
    }
    return readExactly(file, { position: Number(offset), length: numBytes });
  }
}

/** Protobuf's limit. */
const maxGraphBytes = 2 ** 31 - 1;

async function readGraph(path: string): Promise<Buffer> {
  const file = await openRegularFile(path);
  try {
    const { size } = await file.stat();
    if (size > maxGraphBytes) throw new Error(`it has ${size} bytes, and an ONNX file has at most ${maxGraphBytes}`);
    return await readExactly(file, { position: 0, length: size });
  } finally {
    await file.close();
  }
}

function graphIn(bytes: Buffer, path: string) {
  try {
    return decodeModel(bytes);
  } catch (error) {
    throw new ModelError(`${path} is broken or not an ONNX file: ${messageOf(error)}; download it again`);
  }
}

/** @param shape of the result */
function transpose(values: Float32Array, [rows = 0, columns = 0]: readonly number[]): Float32Array {
  const transposed = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      transposed[row * columns + column] = values[column * rows + row] ?? Number.NaN;
    }
  }
  return transposed;
}
