import { show, UserError } from '../core/index.ts';
import { benchCapacity } from './bench-capacity.ts';
import { benchEngine } from './bench-engine.ts';
import { benchQuality } from './bench-quality.ts';

/** `weft bench`. */
export async function bench([name = '', ...args]: readonly string[]): Promise<void> {
  switch (name) {
    case 'capacity':
      return benchCapacity(args);
    case 'engine':
      return benchEngine(args);
    case 'quality':
      return benchQuality(args);
    default:
      throw new UserError(
        `weft bench ${name === '' ? 'lacks its command' : `has no ${show(name)}`}: there are engine, quality, capacity`,
      );
  }
}
