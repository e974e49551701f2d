/**
 * GPT-2's byte alphabet: every byte has a printable character, so that a vocabulary can be stored as text.
 * Source: `bytes_to_unicode` of https://github.com/openai/gpt-2/blob/master/src/encoder.py
 */
const charOfByte: readonly string[] = (() => {
  const isPrintable = (byte: number) =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(isPrintable(byte) ? byte : next++));
})();

/** Indexed by UTF-16 code unit. Every character of the alphabet is a single one. */
const byteOfUnit: readonly (number | undefined)[] = Array.from({ length: 0x144 }, (_, unit) => {
  const byte = charOfByte.indexOf(String.fromCharCode(unit));
  return byte < 0 ? undefined : byte;
});

/** The characters of all 256 bytes, in byte order. */
export const byteAlphabet = charOfByte;

/** Whether a token uses only characters of the byte alphabet. */
export function isByteLevel(token: string): boolean {
  for (let at = 0; at < token.length; at++) if (byteOfUnit[token.charCodeAt(at)] === undefined) return false;
  return true;
}

/** The bytes of a token of the vocabulary; undefined if it uses other characters than the byte alphabet. */
export function bytesOfToken(token: string): Buffer | undefined {
  const bytes = Buffer.allocUnsafe(token.length);
  for (let at = 0; at < token.length; at++) {
    const byte = byteOfUnit[token.charCodeAt(at)];
    if (byte === undefined) return undefined;
    bytes[at] = byte;
  }
  return bytes;
}
