import { ortApi, type Pointer } from './native.ts';
import { create } from './status.ts';

const allocatorTypeDevice = 0;
const memoryTypeDefault = 0;

let cpu: Pointer | undefined;

/** The `OrtMemoryInfo` of the host; never released. */
export function hostMemoryInfo(): Pointer {
  cpu ??= create((out) => ortApi().createCpuMemoryInfo(allocatorTypeDevice, memoryTypeDefault, out));
  return cpu;
}

/** The `OrtMemoryInfo` of a device; the caller releases it. Source: `CreateMemoryInfo` in onnxruntime_c_api.h */
export function deviceMemoryInfo(name: string, deviceIndex: number): Pointer {
  return create((out) => ortApi().createMemoryInfo(name, allocatorTypeDevice, deviceIndex, memoryTypeDefault, out));
}
