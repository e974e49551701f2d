/** White space as defined by Unicode and Rust's `\s`. JavaScript's `\s` includes U+FEFF and lacks U+0085. */
const whiteSpace: ReadonlySet<number> = new Set(
  Array.from({ length: 0x3001 }, (_, unit) => unit).filter((unit) =>
    /\p{White_Space}/u.test(String.fromCodePoint(unit)),
  ),
);

/** @param unit a UTF-16 code unit, or NaN behind the end of a text. All white space is a single unit. */
export function isWhiteSpace(unit: number): boolean {
  return unit === 0x20 || ((unit < 0x20 || unit > 0x7e) && whiteSpace.has(unit));
}

/** Rust's `\w`. Source: https://docs.rs/regex/latest/regex/#perl-character-classes-unicode-friendly */
const wordCharacter = String.raw`[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]`;

const wordAtStart = new RegExp(`^${wordCharacter}`, 'u');
const wordAtEnd = new RegExp(`${wordCharacter}$`, 'u');

/** Whether a letter, a digit or an underscore begins at this position of a text. */
export function startsWord(text: string, at: number): boolean {
  return wordAtStart.test(text.slice(at, at + 2));
}

/** Whether a letter, a digit or an underscore ends at this position of a text. */
export function endsWord(text: string, at: number): boolean {
  return wordAtEnd.test(text.slice(Math.max(0, at - 2), at));
}
