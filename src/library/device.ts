import { availableParallelism } from 'node:os';
import type { NameOf, Settings } from '../config/index.ts';
import { messageOf, type Precision, UserError } from '../core/index.ts';
import { type Device, DeviceError, expectDevice, type SessionOptions } from '../engine/index.ts';

/** The precisions of each kind of device, the default first. See docs/gpu.md. */
const precisionsOf = {
  cpu: ['fp32', 'int8', 'int8-fast'],
  cuda: ['fp16'],
  webgpu: ['fp32'],
} as const satisfies Record<Device['kind'], readonly Precision[]>;

/** Why a device has no other precisions. */
const reasons: Readonly<Record<Device['kind'], string>> = {
  cpu: 'half precision is slow on a CPU',
  cuda: 'attention has no other kernel on CUDA',
  webgpu: 'webgpu is for testing only',
};

/** A device that works on this machine. */
export interface UsableDevice {
  readonly device: Device;
  /** The name of the device, and how much of it is used. */
  readonly description: string;
  readonly precisions: readonly Precision[];
  readonly session: SessionOptions;
}

type DeviceSettings = Pick<Settings, 'device' | 'threads' | 'spinning'>;

/** @throws {UserError} the device cannot be used */
export function openDevice(
  { device: chosen, threads: chosenThreads, spinning }: DeviceSettings,
  nameOf: NameOf,
): UsableDevice {
  const device = deviceOf(chosen);
  const precisions = precisionsOf[device.kind];
  const threads = chosenThreads ?? availableParallelism();
  try {
    const name = expectDevice(device);
    if (device.kind === 'cpu') {
      const session = { threads, spinning: spinning === 'on', device };
      return { device, description: `${name}, ${threads} thread${threads === 1 ? '' : 's'}`, precisions, session };
    }
    // Threads would have nothing to do.
    return { device, description: name, precisions, session: { threads: 1, spinning: false, device } };
  } catch (error) {
    if (error instanceof DeviceError) throw new UserError(`${nameOf('device')} ${chosen}: ${messageOf(error)}`);
    throw error;
  }
}

/** The precision to use on a device. @throws {UserError} the device does not support the one that was chosen */
export function precisionFor(
  { device, precision: chosen }: Pick<Settings, 'device' | 'precision'>,
  nameOf: NameOf,
): Precision {
  const { kind } = deviceOf(device);
  const precisions = precisionsOf[kind];
  const precision = chosen === undefined ? precisions[0] : precisions.find((candidate) => candidate === chosen);
  if (precision !== undefined) return precision;
  throw new UserError(
    `${nameOf('precision')} ${chosen} is not supported with ${nameOf('device')} ${device}, only ${precisions.join(', ')}: ${reasons[kind]}`,
  );
}

/** @param chosen a value that the setting allows */
function deviceOf(chosen: string): Device {
  const [kind, index = '0'] = chosen.split(':');
  if (kind === 'cuda') return { kind, index: Number(index) };
  return { kind: kind === 'webgpu' ? kind : 'cpu' };
}
