/** Counts the characters (code points) of a text while its tokens come. */
export class TextOffsets {
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  #numCharacters: number;

  /** @param start characters in front of the first token */
  constructor(start: number) {
    this.#numCharacters = start;
  }

  /** The offset of the character that a token begins with or, if it begins inside of one, continues. */
  add(bytes: Uint8Array): number {
    const offset = this.#numCharacters;
    this.#numCharacters += numCharacters(this.#decoder.decode(bytes, { stream: true }));
    return offset;
  }
}

export function numCharacters(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}
