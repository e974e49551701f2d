import { hostMemoryInfo } from './memory-info.ts';
import { type NativeBuffer, ortApi, type Pointer } from './native.ts';
import type { Resource } from './resources.ts';
import { create } from './status.ts';

/** `ONNXTensorElementDataType`. */
const elementTypes = { float32: 1, int32: 6, int64: 7, float16: 10 } as const;
export const elementBytes = { float32: 4, int32: 4, int64: 8, float16: 2 } as const;
export type ElementType = keyof typeof elementTypes;

/** A row-major tensor in the memory of the host or of a device. */
export interface TensorView {
  readonly buffer: NativeBuffer | DeviceBuffer;
  /** Where the tensor begins. Always 0 in a device's memory: WebGPU's buffers have no addresses to add to. */
  readonly byteOffset?: number;
  readonly type: ElementType;
  readonly shape: readonly number[];
}

/** Memory of a device, freed with the session that allocated it. */
export class DeviceBuffer {
  readonly pointer: Pointer;
  readonly byteLength: number;
  /** The `OrtMemoryInfo` of the device. */
  readonly memoryInfo: Pointer;

  constructor(pointer: Pointer, byteLength: number, memoryInfo: Pointer) {
    this.pointer = pointer;
    this.byteLength = byteLength;
    this.memoryInfo = memoryInfo;
  }
}

/** Tensors with the same key are the same to ONNX Runtime. The key includes the buffer's size, since an address may be reused for a smaller buffer. */
export function keyOf({ buffer, byteOffset = 0, type, shape }: TensorView): string {
  const memory = buffer instanceof DeviceBuffer ? 'device' : 'host';
  return `${memory} ${buffer.pointer} ${buffer.byteLength} ${byteOffset} ${type} ${shape.join()}`;
}

/**
 * The most recently used `OrtValue`s of tensors. Every change of the batch binds about fifty tensors, most of them not for the first
 * time. A value holds a tensor's address and shape; it does not own the memory.
 */
export class TensorValues implements Resource {
  readonly #maxValues: number;
  /** The most recently used value is last. */
  readonly #values = new Map<string, Pointer>();

  constructor(maxValues: number) {
    this.#maxValues = maxValues;
  }

  /** How many values are kept. */
  get size(): number {
    return this.#values.size;
  }

  /** The value is valid until the next call; a binding keeps its own reference. @throws {RangeError} the tensor exceeds its buffer */
  of(tensor: TensorView, key = keyOf(tensor)): Pointer {
    const known = this.#values.get(key);
    const value = known ?? createValue(tensor);
    if (known !== undefined) this.#values.delete(key);
    this.#values.set(key, value);
    if (this.#values.size > this.#maxValues) this.#releaseOldest();
    return value;
  }

  free(): void {
    while (this.#values.size > 0) this.#releaseOldest();
  }

  #releaseOldest(): void {
    for (const [key, value] of this.#values) {
      this.#values.delete(key);
      ortApi().releaseValue(value);
      return;
    }
  }
}

function createValue({ buffer, byteOffset = 0, type, shape }: TensorView): Pointer {
  const byteLength = shape.reduce((product, size) => product * size, elementBytes[type]);
  if (byteOffset + byteLength > buffer.byteLength) {
    throw new RangeError(`a tensor of ${byteLength} bytes at ${byteOffset} exceeds its buffer of ${buffer.byteLength}`);
  }
  if (buffer instanceof DeviceBuffer && byteOffset !== 0) {
    throw new RangeError('a tensor in the memory of a device must begin at the start of its buffer');
  }
  const dims = BigInt64Array.from(shape, BigInt);
  const address = buffer.pointer + BigInt(byteOffset);
  return create((out) =>
    ortApi().createTensorWithDataAsOrtValue(
      buffer instanceof DeviceBuffer ? buffer.memoryInfo : hostMemoryInfo(),
      address,
      byteLength,
      dims,
      dims.length,
      elementTypes[type],
      out,
    ),
  );
}
