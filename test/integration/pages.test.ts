import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { expect, onTestFinished, type TestContext, test } from 'vitest';
import { renderCapacity, renderPlanning } from '../../bench/page/capacity-page.ts';
import { renderReport } from '../../bench/race/report.ts';
import { type Experience, experienceOf } from '../../src/load/index.ts';
import { temporaryFolder } from '../support/fixtures.ts';
import { raceResults } from '../support/results.ts';
import { needTool } from '../support/tools.ts';

/** Opens a page in a real browser. Any error, console message or network request fails the test. */
async function show(
  context: TestContext,
  html: string,
  options: Parameters<Browser['newPage']>[0] = {},
): Promise<Page> {
  const executablePath = needTool(context, 'chromium');
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] });
  onTestFinished(() => browser.close());
  const page = await browser.newPage(options);
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => complaints.push(message.text()));
  page.on('request', (request) => {
    if (!request.url().startsWith('file:')) complaints.push(`requests ${request.url()}`);
  });
  const file = path.join(await temporaryFolder(), 'page.html');
  await writeFile(file, html);
  await page.goto(pathToFileURL(file).href);
  expect(complaints).toEqual([]);
  return page;
}

/** Counts the canvases, and those that show colours other than those of text and lines. */
async function canvases(page: Page) {
  const counts: [number, number] = await page.evaluate(`(() => {
    const all = [...document.querySelectorAll('canvas')];
    const isDrawn = (canvas) => {
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      let numColoured = 0;
      for (let i = 0; i < data.length; i += 4) {
        const rgb = [data[i], data[i + 1], data[i + 2]];
        if (data[i + 3] > 50 && Math.max(...rgb) - Math.min(...rgb) > 40) numColoured++;
      }
      return numColoured > 100;
    };
    return [all.length, all.filter(isDrawn).length];
  })()`);
  return { numAll: counts[0], numDrawn: counts[1] };
}

test.for([
  ['on a desktop in light mode', { viewport: { width: 1200, height: 800 }, colorScheme: 'light' }],
  ['on a phone in dark mode', { viewport: { width: 360, height: 740 }, colorScheme: 'dark' }],
] as const)("the race's report renders %s", async ([, options], context) => {
  const page = await show(context, renderReport(raceResults()), options);
  expect(await page.locator('#ratio').textContent()).toBe('8.0×');
  const { numAll, numDrawn } = await canvases(page);
  expect(numAll).toBeGreaterThanOrEqual(13);
  expect(numDrawn).toBe(numAll);
  // Nothing overflows horizontally.
  expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(options.viewport.width);
  expect(await page.locator('footer').textContent()).toContain('a <fast> one');
});

function experience(ms: number): Experience {
  return experienceOf([
    { sentAtMs: 0, endedAtMs: ms, tokenAtMs: [ms], tokenIds: [], isStreamed: true, timings: {}, error: undefined },
  ]);
}

test('the planning sheet also works on its own', async (context) => {
  const page = await show(context, renderPlanning());
  expect(await page.locator('#of-instances').textContent()).toBe('7');
});

test('the planning sheet calculates its examples, and recalculates when inputs change', async (context) => {
  const probes = [10, 100].map((rate) => ({ rate, experience: experience(rate), broken: [] }));
  const trial = { maxBatchSize: 8, batchTimeoutMs: 20, rate: 50, experience: experience(30), broken: [] };
  const html = renderCapacity(
    {
      model: 'm',
      slo: 'p95<120ms',
      capacity: { probes, highestRate: 100, kneeRate: 10, safeRate: 70 },
      safeShare: 0.7,
      headroom: 0.2,
      comparison: [trial, { ...trial, maxBatchSize: 1 }],
      tuning: [trial],
      settings: { targetRps: 600, promptTokens: 16, newTokens: 10 },
    },
    'here',
  );
  const page = await show(context, html);
  expect(await canvases(page)).toEqual({ numAll: 3, numDrawn: 3 });
  expect(await page.locator('#instances').textContent()).toBe('11');
  const sheet = async () => (await page.locator('#planning output').allTextContents()).join('; ');
  expect(await sheet()).toBe('38 ms; 58 ms; 210 requests/s; 8, timeout 35 ms, worst case 73 ms; 117 requests/s; 7');
  await page.locator('#size').fill('1');
  await page.locator('#target').fill('100');
  expect(await sheet()).toBe('10 ms; 30 ms; 100 requests/s; 8, timeout 35 ms, worst case 73 ms; 117 requests/s; 2');
});
