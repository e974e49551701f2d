import { expect, onTestFinished, test } from 'vitest';
import { NativeBuffer } from '../../../src/engine/ort/native.ts';
import { TensorValues, type TensorView } from '../../../src/engine/ort/tensor-values.ts';

function setUp({ maxValues }: { readonly maxValues: number }) {
  const buffer = new NativeBuffer(64);
  const values = new TensorValues(maxValues);
  onTestFinished(() => {
    values.free();
    buffer.free();
  });
  const tensor = (changes: Partial<TensorView> = {}): TensorView => ({
    buffer,
    type: 'float32',
    shape: [2, 3],
    ...changes,
  });
  return { values, tensor, buffer };
}

test('an equal tensor gets the same value again', () => {
  const { values, tensor } = setUp({ maxValues: 10 });
  const value = values.of(tensor());
  expect(values.of(tensor({ byteOffset: 0 }))).toBe(value);
  expect(values.size).toBe(1);
});

test('tensors that differ in buffer, offset, type or shape get different values', () => {
  const { values, tensor } = setUp({ maxValues: 10 });
  const all = [
    tensor(),
    tensor({ byteOffset: 4 }),
    tensor({ type: 'int32' }),
    tensor({ shape: [3, 2] }),
    tensor({ shape: [6] }),
    tensor({ buffer: setUp({ maxValues: 1 }).buffer }),
  ];
  expect(new Set(all.map((each) => values.of(each))).size).toBe(all.length);
});

test('the least recently used value is released when there are too many', () => {
  const { values, tensor } = setUp({ maxValues: 2 });
  const value = values.of(tensor());
  values.of(tensor({ shape: [1] }));
  values.of(tensor());
  values.of(tensor({ shape: [2] }));
  expect(values.size).toBe(2);
  expect(values.of(tensor())).toBe(value);
  values.free();
  values.free();
  expect(values.size).toBe(0);
});

test('a tensor must fit into its buffer', () => {
  const { values, tensor } = setUp({ maxValues: 2 });
  expect(() => values.of(tensor({ byteOffset: 44 }))).toThrow('a tensor of 24 bytes at 44 exceeds its buffer of 64');
});
