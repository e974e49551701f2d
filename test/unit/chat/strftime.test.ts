import { expect, test } from 'vitest';
import { strftime } from '../../../src/chat/strftime.ts';

test('a date is written as in Python, in English', () => {
  const date = new Date(2026, 10, 6, 15, 4, 9);
  expect(strftime('%d %b %Y, %A %a %B %m/%d/%y %H:%M:%S = %I %p; 100 %% %Q %', date)).toBe(
    '06 Nov 2026, Friday Fri November 11/06/26 15:04:09 = 03 PM; 100 % %Q %',
  );
  expect(strftime('%I %p', new Date(2026, 0, 1, 0))).toBe('12 AM');
});
