import type { FileHandle } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import yauzl, { type Entry, type ZipFile } from 'yauzl';
import { ModelError, messageOf } from '../../core/index.ts';
import { type FileRange, openRegularFile, readExactly } from '../../files/index.ts';
import { bytesPerElement, type FloatType, toFloat32 } from './float-types.ts';
import { type PickledTensor, unpickleTensors } from './unpickle.ts';
import { numElements, type TensorInfo, type Weights } from './weights.ts';

const floatTypes: Readonly<Record<string, FloatType>> = {
  FloatStorage: 'float32',
  HalfStorage: 'float16',
  BFloat16Storage: 'bfloat16',
};

/** Far more than the names and shapes of any model take. */
const maxPickleBytes = 64 * 2 ** 20;

/**
 * A `pytorch_model.bin` as `torch.save` writes it since PyTorch 1.6: a zip archive with a pickle that names tensors
 * (`data.pkl`), and one file of numbers per storage (`data/0`, `data/1` …). The pickle is read as data; see {@link unpickleTensors}.
 */
export class PytorchWeights implements Weights {
  readonly #path: string;
  readonly #archive: Archive;
  readonly #tensors: ReadonlyMap<string, PickledTensor>;

  private constructor(path: string, archive: Archive, tensors: ReadonlyMap<string, PickledTensor>) {
    this.#path = path;
    this.#archive = archive;
    this.#tensors = tensors;
  }

  /** @throws {ModelError} the file is missing, truncated or in another format, or its pickle asks for more than tensors */
  static async open(path: string): Promise<PytorchWeights> {
    let archive: Archive | undefined;
    try {
      archive = await Archive.open(path);
      const tensors = unpickleTensors(await archive.read('data.pkl', maxPickleBytes));
      return new PytorchWeights(path, archive, tensors);
    } catch (error) {
      await archive?.close();
      throw new ModelError(`${path} cannot be read as a PyTorch checkpoint: ${messageOf(error)}`);
    }
  }

  info(name: string): TensorInfo | undefined {
    const tensor = this.#tensors.get(name);
    const dtype = tensor && floatTypes[tensor.storage.type];
    return tensor && dtype && { dtype, shape: tensor.shape };
  }

  async read(name: string): Promise<Float32Array> {
    const tensor = this.#tensors.get(name);
    const info = this.info(name);
    if (tensor === undefined || info === undefined) {
      throw new ModelError(`${this.#path} has no tensor ${name} of float32, float16 or bfloat16`);
    }
    try {
      const elementBytes = bytesPerElement[info.dtype];
      const bytes = await this.#archive.readStored(`data/${tensor.storage.key}`, {
        position: tensor.offset * elementBytes,
        length: extent(tensor) * elementBytes,
      });
      return strided(toFloat32(bytes, info.dtype), tensor);
    } catch (error) {
      throw new ModelError(`${this.#path}: tensor ${name} cannot be read: ${messageOf(error)}`);
    }
  }

  async close(): Promise<void> {
    await this.#archive.close();
  }
}

/** The number of elements from the first to the last one that the tensor uses. */
function extent({ shape, strides }: PickledTensor): number {
  if (numElements(shape) === 0) return 0;
  return 1 + shape.reduce((last, size, axis) => last + (size - 1) * (strides[axis] ?? 0), 0);
}

/** The elements of a strided view in row-major order. @param elements the ones in its extent */
function strided(elements: Float32Array, { shape, strides }: PickledTensor): Float32Array {
  const count = numElements(shape);
  const contiguous = shape.every((size, axis) => size === 1 || strides[axis] === numElements(shape.slice(axis + 1)));
  if (contiguous) return elements;
  const out = new Float32Array(count);
  const index = new Array<number>(shape.length).fill(0);
  for (let i = 0; i < count; i++) {
    out[i] = elements[index.reduce((at, n, axis) => at + n * (strides[axis] ?? 0), 0)] ?? Number.NaN;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis] = ((index[axis] ?? 0) + 1) % (shape[axis] ?? 1);
      if (index[axis] !== 0) break;
    }
  }
  return out;
}

const zipSignature = 'PK';

async function expectZip(file: FileHandle): Promise<void> {
  const { buffer: start } = await file.read(Buffer.alloc(zipSignature.length), 0, zipSignature.length, 0);
  if (start.toString('latin1') === zipSignature) return;
  throw new Error('it is not a zip archive; convert a file of PyTorch before 1.6, and download any other again');
}

/** Far more than the tensors of any model. */
const maxEntries = 50_000;

/** The entries of a zip file, named relative to the archive's only top folder. */
class Archive {
  readonly #file: FileHandle;
  readonly #zip: ZipFile;
  readonly #entries: ReadonlyMap<string, Entry>;

  private constructor(file: FileHandle, zip: ZipFile, entries: ReadonlyMap<string, Entry>) {
    this.#file = file;
    this.#zip = zip;
    this.#entries = entries;
  }

  /** @throws {Error} it is not a regular file, or not a zip archive */
  static async open(path: string): Promise<Archive> {
    const file = await openRegularFile(path);
    try {
      await expectZip(file);
      const zip = await yauzl.fromFdPromise(file.fd, { autoClose: false });
      if (zip.entryCount > maxEntries) throw new Error(`it has ${zip.entryCount} entries, more than any model`);
      const entries = new Map<string, Entry>();
      for await (const entry of zip.eachEntry()) entries.set(entry.fileName.replace(/^[^/]*\//, ''), entry);
      return new Archive(file, zip, entries);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async read(name: string, maxBytes: number): Promise<Buffer> {
    const entry = this.#entries.get(name);
    if (entry === undefined) throw new Error(`it has no ${name}`);
    if (entry.uncompressedSize > maxBytes) throw new Error(`its ${name} has ${entry.uncompressedSize} bytes`);
    return buffer(await this.#zip.openReadStreamPromise(entry));
  }

  /** Reads a part of an uncompressed entry, as `torch.save` writes all of them, so that it cannot be larger than the file. */
  async readStored(name: string, { position, length }: FileRange): Promise<Buffer> {
    const entry = this.#entries.get(name);
    if (entry?.compressionMethod !== 0 || entry.isEncrypted()) throw new Error(`its ${name} is missing or compressed`);
    const { compressedSize: size } = entry;
    if (!(position >= 0 && position + length <= size))
      throw new Error(`its storage has ${size} of ${position + length} bytes`);
    const { fileDataStart } = await this.#zip.readLocalFileHeaderPromise(entry, { minimal: true });
    return readExactly(this.#file, { position: fileDataStart + position, length });
  }

  /** The zip reader does not own the file, so it has nothing to close. */
  async close(): Promise<void> {
    await this.#file.close();
  }
}
