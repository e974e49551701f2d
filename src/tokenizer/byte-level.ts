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

/** By UTF-16 code unit: each character of the alphabet is one. */
const byteOfUnit: readonly (number | undefined)[] = Array.from({ length: 0x144 }, (_, unit) => {
  const byte = charOfByte.indexOf(String.fromCharCode(unit));
  return byte < 0 ? undefined : byte;
});

/** All 256 bytes as the vocabulary writes them, in byte order. */
export const byteAlphabet = charOfByte;

/** Whether a token is written in the byte alphabet. */
export function isByteLevel(token: string): boolean {
  for (let at = 0; at < token.length; at++) if (byteOfUnit[token.charCodeAt(at)] === undefined) return false;
  return true;
}

/** The bytes that a token of the vocabulary stands for, or undefined if it is not written in the byte alphabet. */
export function bytesOfToken(token: string): Buffer | undefined {
  const bytes = Buffer.allocUnsafe(token.length);
  for (let at = 0; at < token.length; at++) {
    const byte = byteOfUnit[token.charCodeAt(at)];
    if (byte === undefined) return undefined;
    bytes[at] = byte;
  }
  return bytes;
}
