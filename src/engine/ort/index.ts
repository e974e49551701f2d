export { type Device, expectDevice } from './device.ts';
export { DeviceError } from './device-provider.ts';
export { type NativeArray, NativeBuffer, nativeArray } from './native.ts';
export { DeviceBuffer, type ElementType, elementBytes, Session, type SessionOptions } from './session.ts';
