import { show } from '../../core/index.ts';
import { isSizes } from './weights.ts';

/** A tensor as a PyTorch checkpoint describes it: a strided view of a storage outside the pickle. */
export interface PickledTensor {
  readonly storage: PickledStorage;
  /** In elements of the storage. */
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

export interface PickledStorage {
  /** `HalfStorage` and so on. */
  readonly type: string;
  /** The name of its file in the archive's `data/`. */
  readonly key: string;
}

/** Represents one of the few functions and classes that a checkpoint may name. None is ever called. */
class Global {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

type Value = unknown;

const mark = Symbol('mark');

/**
 * Reads the pickle of a PyTorch checkpoint (protocols 2 to 5): a dictionary of tensors.
 * It recognizes a handful of constructors by name and builds plain data for them. Anything else is refused; nothing is executed.
 * Opcodes: https://github.com/python/cpython/blob/main/Lib/pickle.py
 * @throws {Error} the pickle is broken, or names something that is not allowed
 */
export function unpickleTensors(pickle: Buffer): Map<string, PickledTensor> {
  const root = new Unpickler(pickle).load();
  if (!(root instanceof Map)) throw new Error('the pickle does not hold a dictionary of tensors');
  const tensors = new Map<string, PickledTensor>();
  for (const [name, value] of root) {
    if (typeof name === 'string' && isTensor(value)) tensors.set(name, value);
  }
  return tensors;
}

class Unpickler {
  readonly #bytes: Buffer;
  readonly #stack: Value[] = [];
  readonly #memo = new Map<number, Value>();
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  load(): Value {
    for (;;) {
      const opcode = this.#byte();
      if (opcode === 0x2e) return this.#pop();
      const run = this.#opcodes[opcode];
      if (run === undefined) throw new Error(`pickle opcode 0x${opcode.toString(16)} is not supported`);
      run();
    }
  }

  readonly #opcodes: Readonly<Record<number, () => void>> = {
    128: () => this.#take(1), // PROTO
    149: () => this.#take(8), // FRAME
    40: () => this.#push(mark), // MARK
    48: () => this.#pop(), // POP
    78: () => this.#push(null), // NONE
    136: () => this.#push(true), // NEWTRUE
    137: () => this.#push(false), // NEWFALSE
    75: () => this.#push(this.#byte()), // BININT1
    77: () => this.#push(this.#take(2).readUInt16LE()), // BININT2
    74: () => this.#push(this.#take(4).readInt32LE()), // BININT
    138: () => this.#push(this.#long(this.#byte())), // LONG1
    71: () => this.#push(this.#take(8).readDoubleBE()), // BINFLOAT
    88: () => this.#push(this.#take(this.#take(4).readUInt32LE()).toString('utf8')), // BINUNICODE
    140: () => this.#push(this.#take(this.#byte()).toString('utf8')), // SHORT_BINUNICODE
    125: () => this.#push(new Map()), // EMPTY_DICT
    93: () => this.#push([]), // EMPTY_LIST
    41: () => this.#push([]), // EMPTY_TUPLE
    116: () => this.#push(this.#popToMark()), // TUPLE
    133: () => this.#push(this.#popMany(1)), // TUPLE1
    134: () => this.#push(this.#popMany(2)), // TUPLE2
    135: () => this.#push(this.#popMany(3)), // TUPLE3
    113: () => this.#memo.set(this.#byte(), this.#peek()), // BINPUT
    114: () => this.#memo.set(this.#take(4).readUInt32LE(), this.#peek()), // LONG_BINPUT
    148: () => this.#memo.set(this.#memo.size, this.#peek()), // MEMOIZE
    104: () => this.#push(this.#recall(this.#byte())), // BINGET
    106: () => this.#push(this.#recall(this.#take(4).readUInt32LE())), // LONG_BINGET
    115: () => this.#setItems(this.#popMany(2)), // SETITEM
    117: () => this.#setItems(this.#popToMark()), // SETITEMS
    97: () => this.#append(this.#popMany(1)), // APPEND
    101: () => this.#append(this.#popToMark()), // APPENDS
    99: () => this.#push(global(this.#line(), this.#line())), // GLOBAL
    147: () => {
      const [module, name] = this.#popMany(2); // STACK_GLOBAL
      this.#push(global(String(module), String(name)));
    },
    81: () => this.#push(storage(this.#pop())), // BINPERSID
    82: () => {
      const [callee, args] = this.#popMany(2); // REDUCE
      this.#push(construct(callee, args));
    },
    98: () => this.#pop(), // BUILD: the attributes of an OrderedDict (`_metadata`), which are not needed
  };

  #byte(): number {
    return this.#take(1).readUInt8();
  }

  #take(length: number): Buffer {
    if (this.#at + length > this.#bytes.length) throw new Error('the pickle ends in the middle');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  #line(): string {
    const end = this.#bytes.indexOf(0x0a, this.#at);
    if (end < 0) throw new Error('the pickle ends in the middle');
    const line = this.#take(end - this.#at).toString('utf8');
    this.#at++;
    return line;
  }

  #long(length: number): number {
    const bytes = this.#take(length);
    if (length > 6) throw new Error(`the pickle has a number of ${length} bytes`);
    return length === 0 ? 0 : bytes.readIntLE(0, length);
  }

  #push(value: Value): void {
    this.#stack.push(value);
  }

  #pop(): Value {
    if (this.#stack.length === 0) throw new Error('the pickle takes more than it has given');
    return this.#stack.pop();
  }

  #popMany(count: number): Value[] {
    return Array.from({ length: count }, () => this.#pop()).reverse();
  }

  #popToMark(): Value[] {
    const at = this.#stack.lastIndexOf(mark);
    if (at < 0) throw new Error('the pickle takes more than it has given');
    const values = this.#stack.splice(at);
    return values.slice(1);
  }

  #peek(): Value {
    return this.#stack.at(-1);
  }

  #recall(index: number): Value {
    if (!this.#memo.has(index)) throw new Error(`the pickle recalls item ${index}, which it has not stored`);
    return this.#memo.get(index);
  }

  #setItems(items: Value[]): void {
    const target = this.#peek();
    if (!(target instanceof Map)) throw new Error('the pickle sets items of something that is not a dictionary');
    for (let i = 0; i + 1 < items.length; i += 2) target.set(items[i], items[i + 1]);
  }

  #append(items: Value[]): void {
    const target = this.#peek();
    if (!Array.isArray(target)) throw new Error('the pickle appends to something that is not a list');
    target.push(...items);
  }
}

const allowedGlobals = new Set([
  'collections.OrderedDict',
  'torch._utils._rebuild_tensor_v2',
  'torch._utils._rebuild_parameter',
]);

function global(module: string, name: string): Global {
  const full = `${module}.${name}`;
  if (!allowedGlobals.has(full) && !/^torch\.[A-Za-z0-9]+Storage$/.test(full))
    throw new Error(`the pickle asks for ${show(full)}, which weights do not need; nothing of it was run`);
  return new Global(full);
}

/** A persistent id of `torch.save`: ("storage", type, key, location, number of elements). */
function storage(id: Value): PickledStorage {
  if (!Array.isArray(id) || id[0] !== 'storage' || !(id[1] instanceof Global) || typeof id[2] !== 'string') {
    throw new Error('the pickle refers to something that is not a tensor storage');
  }
  return { type: id[1].name.replace('torch.', ''), key: id[2] };
}

function construct(callee: Value, args: Value): Value {
  const name = callee instanceof Global ? callee.name : undefined;
  if (!Array.isArray(args)) throw new Error('the pickle calls something without arguments');
  if (name === 'collections.OrderedDict') return new Map();
  if (name === 'torch._utils._rebuild_parameter') return args[0];
  if (name === 'torch._utils._rebuild_tensor_v2') {
    const [ofStorage, offset, shape, strides] = args;
    const tensor = { storage: ofStorage, offset, shape, strides };
    if (isTensor(tensor)) return tensor;
  }
  throw new Error('the pickle builds something that is not a tensor');
}

function isTensor(value: Value): value is PickledTensor {
  const tensor = value as Partial<PickledTensor> | null | undefined;
  return (
    typeof tensor?.storage?.key === 'string' &&
    typeof tensor.offset === 'number' &&
    isSizes(tensor.shape) &&
    isSizes(tensor.strides) &&
    tensor.shape.length === tensor.strides.length
  );
}
