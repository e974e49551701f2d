import { TooLargeError, textTooLong } from './bounded-strings.ts';
import { Interpreter, type Program, parse, type RuntimeValue, type Statement } from './jinja.ts';
import { chatLimits } from './limits.ts';

const { maxCharacters, maxElements } = chatLimits;

/** Evaluates a template. No value that it works with becomes too large. */
export class BoundedInterpreter extends Interpreter {
  /** Called for every part of a template, so that all values come by here. @throws {TooLargeError} */
  override evaluate(...[part, scope]: Parameters<InstanceType<typeof Interpreter>['evaluate']>): RuntimeValue {
    if (part !== undefined && isFilterBlock(part)) bodyAsOne(part);
    const result = super.evaluate(part, scope);
    const { value } = result;
    if (typeof value === 'string' && value.length > maxCharacters) throw textTooLong();
    if (Array.isArray(value) && value.length > maxElements) {
      throw new TooLargeError(`a list has more than ${maxElements} elements`);
    }
    return result;
  }
}

/** `{% filter … %} body {% endfilter %}` */
function isFilterBlock(part: Statement): part is Program {
  return part.type === 'FilterStatement';
}

/** Makes one part of the body. Otherwise the filter is applied to the text of the body before that comes by in `evaluate`. */
function bodyAsOne(block: Program): void {
  if (block.body.length < 2) return;
  const whole = parse([]);
  whole.body = block.body;
  block.body = [whole];
}
