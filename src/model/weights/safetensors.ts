import type { FileHandle } from 'node:fs/promises';
import { ModelError, messageOf, show } from '../../core/index.ts';
import { openRegularFile, readExactly } from '../../files/index.ts';
import { bytesPerElement, type FloatType, toFloat32 } from './float-types.ts';
import { isSizes, numElements, type TensorInfo, type Weights } from './weights.ts';

const floatTypes: Readonly<Record<string, FloatType>> = { F32: 'float32', F16: 'float16', BF16: 'bfloat16' };

interface Entry extends TensorInfo {
  /** First byte in the file, and one past the last. */
  readonly start: number;
  readonly end: number;
}

/**
 * A `.safetensors` file: eight bytes with the length of a JSON header, the header, the numbers.
 * Format: https://github.com/huggingface/safetensors#format
 */
export class SafetensorsWeights implements Weights {
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #entries: ReadonlyMap<string, Entry>;

  private constructor(file: FileHandle, path: string, entries: ReadonlyMap<string, Entry>) {
    this.#file = file;
    this.#path = path;
    this.#entries = entries;
  }

  /** @throws {ModelError} the file is missing, truncated or not safetensors */
  static async open(path: string): Promise<SafetensorsWeights> {
    const file = await openRegularFile(path).catch((error: unknown) => {
      throw new ModelError(`${path} cannot be read: ${messageOf(error)}`);
    });
    try {
      return new SafetensorsWeights(file, path, await readHeader(file));
    } catch (error) {
      await file.close();
      throw new ModelError(`${path} is broken: ${messageOf(error)}; download it again`);
    }
  }

  info(name: string): TensorInfo | undefined {
    return this.#entries.get(name);
  }

  async read(name: string): Promise<Float32Array> {
    const entry = this.#entries.get(name);
    if (entry === undefined) throw new ModelError(`${this.#path} has no tensor ${name} of F32, F16 or BF16`);
    try {
      const range = { position: entry.start, length: entry.end - entry.start };
      return toFloat32(await readExactly(this.#file, range), entry.dtype);
    } catch (error) {
      throw new ModelError(`${this.#path}: tensor ${name} cannot be read: ${messageOf(error)}`);
    }
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

const gitLfs = 'version https://git-lfs';

/** The limit of the format. */
const maxHeaderBytes = 100_000_000;

async function readHeader(file: FileHandle): Promise<Map<string, Entry>> {
  const { size } = await file.stat();
  if (size < 8) throw new Error(`it has ${size} bytes, too few for a header`);
  const start = await readExactly(file, { position: 0, length: Math.min(size, gitLfs.length) });
  if (start.toString() === gitLfs) {
    throw new Error('it is a Git LFS pointer, not the file itself');
  }
  const headerBytes = Number(start.readBigUInt64LE());
  const dataStart = 8 + headerBytes;
  if (headerBytes > maxHeaderBytes) {
    throw new Error(`its header should take ${headerBytes} bytes, and the format allows ${maxHeaderBytes}`);
  }
  if (dataStart > size) throw new Error(`its header should take ${headerBytes} bytes and the file has ${size}`);
  const json = await readExactly(file, { position: 8, length: headerBytes });
  const header: unknown = JSON.parse(json.toString('utf8'));
  if (typeof header !== 'object' || header === null) throw new Error('its header is not an object');
  const entries = new Map<string, Entry>();
  let dataEnd = dataStart;
  for (const [name, value] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const { dtype, shape, start, end } = placeOf(name, value, dataStart);
    if (end > size) throw new Error(`it ends at byte ${size}, inside tensor ${name}`);
    dataEnd = Math.max(dataEnd, end);
    const floatType = floatTypes[String(dtype)];
    // A tensor of another type counts as missing.
    if (floatType === undefined) continue;
    if (end - start !== numElements(shape) * bytesPerElement[floatType]) {
      throw new Error(`tensor ${name} of shape ${show(shape)} does not take ${end - start} bytes`);
    }
    entries.set(name, { dtype: floatType, shape, start, end });
  }
  if (dataEnd < size) throw new Error(`its tensors end at byte ${dataEnd}, and it has ${size} bytes`);
  return entries;
}

/** The position of a tensor in the file. @throws {Error} its header is broken */
function placeOf(name: string, value: unknown, dataStart: number) {
  const { dtype, shape, data_offsets: offsets } = (value ?? {}) as Record<string, unknown>;
  if (!isSizes(shape) || !isSizes(offsets) || offsets.length !== 2)
    throw new Error(`tensor ${name} has a broken header`);
  const [start = 0, end = 0] = offsets;
  return { dtype, shape, start: dataStart + start, end: dataStart + end };
}
