import { availableParallelism } from 'node:os';
import { flagOf, type Settings } from '../config/index.ts';
import { messageOf, UserError } from '../core/index.ts';
import { type Device, DeviceError, expectDevice, type SessionOptions } from '../engine/index.ts';
import type { Precision } from '../model/index.ts';

/** What each kind of device is used in, the default first: see docs/gpu.md. */
const precisionsOf = {
  cpu: ['fp32', 'int8', 'int8-fast'],
  cuda: ['fp16'],
  webgpu: ['fp32'],
} as const satisfies Record<Device['kind'], readonly Precision[]>;

/** Why there are no others. */
const reasons: Readonly<Record<Device['kind'], string>> = {
  cpu: 'half precision is slow there',
  cuda: 'attention has no other kernel there',
  webgpu: 'it is for tests',
};

/** A device that can be used. */
export interface UsableDevice {
  readonly device: Device;
  /** For people: what it is, and how much of it is used. */
  readonly description: string;
  readonly precisions: readonly Precision[];
  readonly session: SessionOptions;
}

type DeviceSettings = Pick<Settings, 'device' | 'threads' | 'spinning'>;

/** @throws {UserError} the device cannot be used */
export function openDevice({ device: chosen, threads: chosenThreads, spinning }: DeviceSettings): UsableDevice {
  const device = deviceOf(chosen);
  const precisions = precisionsOf[device.kind];
  const threads = chosenThreads || availableParallelism();
  try {
    const name = expectDevice(device);
    if (device.kind === 'cpu') {
      const session = { threads, spinning: spinning === 'on', device };
      return { device, description: `${name}, ${threads} threads`, precisions, session };
    }
    // There is nothing for threads to do.
    return { device, description: name, precisions, session: { threads: 1, spinning: false, device } };
  } catch (error) {
    if (error instanceof DeviceError) throw new UserError(`${flagOf('device')} ${chosen}: ${messageOf(error)}`);
    throw error;
  }
}

/** @throws {UserError} the device cannot do it, or not well */
export function precisionFor({ device, precision: chosen }: Pick<Settings, 'device' | 'precision'>): Precision {
  const { kind } = deviceOf(device);
  const precisions = precisionsOf[kind];
  const precision = chosen === 'auto' ? precisions[0] : precisions.find((candidate) => candidate === chosen);
  if (precision !== undefined) return precision;
  throw new UserError(
    `${flagOf('precision')} ${chosen} is not for ${flagOf('device')} ${device}; there is ${precisions.join(', ')}: ${reasons[kind]}`,
  );
}

/** @param chosen as the setting allows it */
function deviceOf(chosen: string): Device {
  const [kind, index = '0'] = chosen.split(':');
  if (kind === 'cuda') return { kind, index: Number(index) };
  return { kind: kind === 'webgpu' ? kind : 'cpu' };
}
