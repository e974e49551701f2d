import { chatLimits } from './limits.ts';

/** A template computes something that is too large. */
export class TooLargeError extends Error {}

export function textTooLong(): TooLargeError {
  return new TooLargeError(`a text has more than ${chatLimits.maxCharacters} characters`);
}

/**
 * Replaces the string operations of this thread that can multiply the length of a string by ones that throw a {@link TooLargeError} instead.
 * A worker thread that slowly fills its heap is ended alone. But a single allocation that is large compared to the heap ends the whole
 * process, before anyone can look at its result.
 */
export function boundStrings(): void {
  const strings = String.prototype;
  const { repeat, replace, replaceAll } = strings;
  const { join } = Array.prototype;
  const check = (length: number) => {
    if (length > chatLimits.maxCharacters) throw textTooLong();
  };

  strings.repeat = function boundedRepeat(count) {
    check(this.length * count);
    return repeat.call(this, count);
  };

  /** The replacement, which also counts the characters of the result. */
  const counted = (text: string, replacement: unknown) => {
    if (typeof replacement !== 'function') return replacement;
    let { length } = text;
    return (match: string, ...rest: unknown[]) => {
      const replaced = String(replacement(match, ...rest));
      length += replaced.length - match.length;
      check(length);
      return replaced;
    };
  };
  const boundedBy = (operation: (this: string, ...args: never[]) => string) =>
    function boundedReplacement(this: string, pattern: unknown, replacement: unknown): string {
      check(this.length);
      return Reflect.apply(operation, this, [pattern, counted(this, replacement)]);
    };
  strings.replace = boundedBy(replace);
  strings.replaceAll = boundedBy(replaceAll);

  Array.prototype.join = function boundedJoin(separator = ',') {
    let length = Math.max(0, this.length - 1) * separator.length;
    const texts = Array.from(this, (element: unknown) => {
      const text = String(element ?? '');
      length += text.length;
      check(length);
      return text;
    });
    check(length);
    return join.call(texts, separator);
  };
}
