import { expect, test } from 'vitest';
import { reasonOf } from '../../../src/engine/ort/status.ts';

const where = '/onnxruntime_src/onnxruntime/core/some_file.cc:62 static void onnxruntime::Some::Function()';

test.each([
  [
    `${where} Failed to load library /x/libonnxruntime_providers_cuda.so with error: libcublasLt.so.13: cannot open shared object file\n`,
    'libcublasLt.so.13: cannot open shared object file',
  ],
  [
    `${where} Parse Failed to parse provider option "device_id": CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version ; GPU=-1 ; hostname=x`,
    'CUDA driver version is insufficient for CUDA runtime version',
  ],
  [
    `${where} status == Success was false. Failed to get a WebGPU adapter:\nNo supported adapters `,
    'Failed to get a WebGPU adapter: No supported adapters',
  ],
  ['something\n  else', 'something else'],
])('the reason is extracted as one line from: %s', (message, reason) => {
  expect(reasonOf(new Error(message))).toBe(reason);
});
