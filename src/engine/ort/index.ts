export { NativeBuffer } from './native.ts';
export { type ElementType, Session, type SessionOptions } from './session.ts';
