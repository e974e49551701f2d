import { expect, test } from 'vitest';
import { toFloat16, toFloat32 } from '../../../src/model/weights/float-types.ts';

const widened = (...bits: number[]) => toFloat32(Buffer.from(Uint16Array.from(bits).buffer), 'float16');

test('every half survives widening and rounding', () => {
  const bits = Array.from({ length: 0x10000 }, (_, half) => half);
  const back = toFloat16(widened(...bits));
  const isNoNumber = (half: number) => (half & 0x7c00) === 0x7c00 && (half & 0x3ff) !== 0;
  expect(bits.filter((half) => back[half] !== half && !isNoNumber(half))).toEqual([]);
  expect(Number.isNaN(widened(back[0x7e01] ?? 0)[0])).toBe(true);
});

test.each([
  ['the nearest half', 1 + 0.6 * 2 ** -10, 1 + 2 ** -10],
  ['the even one of two equally near halves', 1 + 0.5 * 2 ** -10, 1],
  ['the even one, upwards', 1 + 1.5 * 2 ** -10, 1 + 2 * 2 ** -10],
  ['the next power of two', 2047.75, 2048],
  ['a subnormal', -2.6 * 2 ** -24, -3 * 2 ** -24],
  ['the even one of two subnormals', 2.5 * 2 ** -24, 2 * 2 ** -24],
  ['the smallest normal, from below', 2 ** -14 - 2 ** -26, 2 ** -14],
  ['zero', 2 ** -26, 0],
  ['negative zero', -(2 ** -30), -0],
  ['the largest half', 65519, 65504],
  ['infinity', 65520, Number.POSITIVE_INFINITY],
  ['negative infinity', -1e10, Number.NEGATIVE_INFINITY],
])('a number becomes %s', (_, number, expected) => {
  expect(widened(...toFloat16(Float32Array.of(number)))[0]).toBe(expected);
});
