import { flagOf, type Settings } from '../config/index.ts';
import { UserError } from '../core/index.ts';
import { type Device, DeviceError, expectDevice } from '../engine/index.ts';
import type { Precision } from '../model/index.ts';

/** What each kind of device is used in, the default first, and why in nothing else: see docs/gpu.md. */
const abilities = {
  cpu: { precisions: ['fp32', 'int8', 'int8-fast'], reason: 'ONNX Runtime has no fast products in it for the CPU' },
  cuda: { precisions: ['fp16'], reason: 'the attention of ONNX Runtime does not compute in it on CUDA' },
  webgpu: { precisions: ['fp32'], reason: 'not every WebGPU computes in it' },
} as const satisfies Record<Device['kind'], { readonly precisions: readonly Precision[]; readonly reason: string }>;

/** A device that can be used. */
export interface UsableDevice {
  readonly device: Device;
  /** For people. */
  readonly deviceName: string;
  readonly precisions: readonly Precision[];
}

/** @throws {UserError} the device cannot be used */
export function openDevice({ device: chosen }: Pick<Settings, 'device'>): UsableDevice {
  const device = deviceOf(chosen);
  try {
    return { device, deviceName: expectDevice(device), precisions: abilities[device.kind].precisions };
  } catch (error) {
    if (error instanceof DeviceError) throw new UserError(`${flagOf('device')} ${chosen}: ${error.message}`);
    throw error;
  }
}

/** @throws {UserError} the device cannot do it, or not well */
export function precisionFor({ device, precision: chosen }: Pick<Settings, 'device' | 'precision'>): Precision {
  const { precisions, reason } = abilities[deviceOf(device).kind];
  const precision = chosen === 'auto' ? precisions[0] : precisions.find((candidate) => candidate === chosen);
  if (precision !== undefined) return precision;
  throw new UserError(
    `${flagOf('precision')} ${chosen} is not for ${flagOf('device')} ${device}: ${reason}; there is ${precisions.join(', ')}`,
  );
}

/** @param chosen as the setting allows it */
function deviceOf(chosen: string): Device {
  const [kind, index = '0'] = chosen.split(':');
  if (kind === 'cuda') return { kind, index: Number(index) };
  return { kind: kind === 'webgpu' ? kind : 'cpu' };
}
