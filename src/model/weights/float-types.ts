/** The number formats of weights. */
export type FloatType = 'float32' | 'float16' | 'bfloat16';

export const bytesPerElement: Readonly<Record<FloatType, number>> = { float32: 4, float16: 2, bfloat16: 2 };

/** Widens little-endian numbers of any supported format to float32. Exact. */
export function toFloat32(bytes: Buffer, dtype: FloatType): Float32Array {
  switch (dtype) {
    case 'float32':
      return new Float32Array(aligned(bytes, 4));
    case 'float16': {
      const halves = new Uint16Array(aligned(bytes, 2));
      const floats = new Float32Array(halves.length);
      const floatOf = halfTable();
      for (let i = 0; i < halves.length; i++) floats[i] = floatOf[halves[i] ?? 0] ?? 0;
      return floats;
    }
    case 'bfloat16': {
      const uppers = new Uint16Array(aligned(bytes, 2));
      const bits = new Uint32Array(uppers.length);
      for (let i = 0; i < uppers.length; i++) bits[i] = (uppers[i] ?? 0) << 16;
      return new Float32Array(bits.buffer);
    }
  }
}

/** Rounds to float16, ties to even; numbers that are too large become infinite. */
export function toFloat16(floats: Float32Array): Uint16Array {
  const bits = new Uint32Array(floats.buffer, floats.byteOffset, floats.length);
  const halves = new Uint16Array(floats.length);
  const shifted = new Float32Array(1);
  const shiftedBits = new Uint32Array(shifted.buffer);
  for (let i = 0; i < bits.length; i++) {
    const sign = ((bits[i] ?? 0) >>> 16) & 0x8000;
    const magnitude = (bits[i] ?? 0) & 0x7fffffff;
    let half: number;
    if (magnitude >= 0x47800000) {
      half = magnitude > 0x7f800000 ? 0x7e00 : 0x7c00;
    } else if (magnitude < 0x38800000) {
      // At 0.5, a float32 has the resolution of halves below 2^-14, so the addition rounds.
      shifted[0] = Math.abs(floats[i] ?? 0) + 0.5;
      half = (shiftedBits[0] ?? 0) - 0x3f000000;
    } else {
      // A float32's exponent is larger by 112, and its fraction is 13 bits longer.
      half = (magnitude - (112 << 23) + 0xfff + ((magnitude >>> 13) & 1)) >>> 13;
    }
    halves[i] = sign | half;
  }
  return halves;
}

/** Copies the bytes into a buffer of their own, which makes them aligned. */
function aligned(bytes: Buffer, elementSize: number): ArrayBuffer {
  if (bytes.byteLength % elementSize !== 0)
    throw new RangeError(`${bytes.byteLength} bytes are not a whole number of elements`);
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
}

let table: Float32Array | undefined;

/** Every IEEE 754 half as a float32. */
function halfTable(): Float32Array {
  table ??= Float32Array.from({ length: 65536 }, (_, half) => {
    const sign = half & 0x8000 ? -1 : 1;
    const exponent = (half >> 10) & 0x1f;
    const fraction = half & 0x3ff;
    if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
    return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
  });
  return table;
}
