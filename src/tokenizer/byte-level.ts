/**
 * GPT-2's byte alphabet: each byte as one printable character, so that a vocabulary can be written as text.
 * Source: `bytes_to_unicode` of https://github.com/openai/gpt-2/blob/master/src/encoder.py
 */
const charOfByte: readonly string[] = (() => {
  const isPrintable = (byte: number) =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(isPrintable(byte) ? byte : next++));
})();

const byteOfChar: ReadonlyMap<string, number> = new Map(charOfByte.map((char, byte) => [char, byte]));

/** All 256 bytes as the vocabulary writes them, in byte order. */
export const byteAlphabet = charOfByte;

/** The bytes that a token of the vocabulary stands for, or undefined if it is not written in the byte alphabet. */
export function bytesOfToken(token: string): Buffer | undefined {
  const bytes: number[] = [];
  for (const char of token) {
    const byte = byteOfChar.get(char);
    if (byte === undefined) return undefined;
    bytes.push(byte);
  }
  return Buffer.from(bytes);
}
