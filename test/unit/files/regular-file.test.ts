import { constants } from 'node:buffer';
import { type FileHandle, open, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { hashFile, openRegularFile, readExactly, readSmallFile, writeFully } from '../../../src/files/index.ts';
import { temporaryFolder } from '../../support/fixtures.ts';
import { oddFiles } from '../../support/odd-files.ts';

/** A fake file of this size that records what is read from it. */
function hugeFile(size: number) {
  const asked: { offset: number; length: number; position: number }[] = [];
  const file = {
    stat: async () => ({ size }),
    read: async (_: Buffer, offset: number, length: number, position: number) => {
      asked.push({ offset, length, position });
      return { bytesRead: length };
    },
  };
  return { asked, file: file as unknown as FileHandle };
}

describe('reading', () => {
  test('continues until the range is complete', async () => {
    const file = path.join(await temporaryFolder(), 'file');
    await writeFile(file, 'once upon a time');
    const handle = await open(file);
    const read = await readExactly(handle, { position: 5, length: 11 }, 4);
    await handle.close();
    expect(read.toString()).toBe('upon a time');
  });

  test('never asks for 2 GiB at once, which would abort the process', async () => {
    const { asked, file } = hugeFile(2 ** 31 + 200);
    await readExactly(file, { position: 100, length: 2 ** 31 + 50 });
    expect(asked).toEqual([
      { offset: 0, length: 2 ** 30, position: 100 },
      { offset: 2 ** 30, length: 2 ** 30, position: 100 + 2 ** 30 },
      { offset: 2 ** 31, length: 50, position: 100 + 2 ** 31 },
    ]);
  });

  test('refuses more than a buffer can hold', async () => {
    const { asked, file } = hugeFile(2 ** 60);
    await expect(readExactly(file, { position: 0, length: constants.MAX_LENGTH + 1 })).rejects.toThrow(/can hold/);
    expect(asked).toEqual([]);
  });

  test.each([
    [-1, 4],
    [Number.NaN, 4],
    [0, -1],
    [0, Number.NaN],
    [10, 7],
  ])('refuses %d + %d bytes of a file of 16', async (position, length) => {
    const { asked, file } = hugeFile(16);
    await expect(readExactly(file, { position, length })).rejects.toThrow(/it ends at byte 16/);
    expect(asked).toEqual([]);
  });

  test('refuses a small file that is too large', async () => {
    const file = path.join(await temporaryFolder(), 'file');
    await writeFile(file, 'once');
    expect(await readSmallFile(file, 4)).toBe('once');
    await expect(readSmallFile(file, 3)).rejects.toThrow('it has 4 bytes; at most 3 are allowed');
  });
});

test('writing continues until everything is written', async () => {
  const file = path.join(await temporaryFolder(), 'file');
  const handle = await open(file, 'w');
  const lengths: number[] = [];
  const counting = {
    write: (bytes: Uint8Array, offset: number, length: number, position: number) => {
      lengths.push(length);
      return handle.write(bytes, offset, length, position);
    },
  };
  await writeFully(counting as unknown as FileHandle, { bytes: Buffer.from('upon a time'), position: 5 }, 4);
  await handle.close();
  expect(lengths).toEqual([4, 4, 3]);
  expect(await readSmallFile(file, 100)).toBe('\0\0\0\0\0upon a time');
});

describe.skipIf(process.platform === 'win32')('opening and hashing refuse', () => {
  test.each(oddFiles)('%s', async (kind, make) => {
    const file = path.join(await temporaryFolder(), 'file');
    await make(file);
    await expect(openRegularFile(file)).rejects.toThrow(`it is ${kind}, not a regular file`);
    await expect(hashFile(file)).rejects.toThrow(`it is ${kind}, not a regular file`);
  });

  test('a link to itself', async () => {
    const file = path.join(await temporaryFolder(), 'file');
    await symlink(file, file);
    await expect(openRegularFile(file)).rejects.toThrow('ELOOP');
  });
});
