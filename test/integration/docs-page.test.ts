import { chromium } from 'playwright-core';
import { expect, onTestFinished, test } from 'vitest';
import { serverForAllTests } from '../support/server.ts';
import { needTool } from '../support/tools.ts';

const up = serverForAllTests(['--log-level', 'error']);

test('/docs shows every route of /openapi.json, calls one, and loads nothing from another host', async (context) => {
  const executablePath = needTool(context, 'chromium');
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] });
  onTestFinished(() => browser.close());
  const page = await browser.newPage();
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => complaints.push(message.text()));
  page.on('request', (request) => {
    const { origin, protocol } = new URL(request.url());
    if (protocol !== 'data:' && origin !== up.client.url) complaints.push(`requests ${request.url()}`);
  });
  await page.goto(`${up.client.url}/docs`);
  await page.locator('.opblock').first().waitFor();

  const { paths } = JSON.parse(await (await fetch(`${up.client.url}/openapi.json`)).text());
  const shown = await page.locator('.opblock-summary-path').evaluateAll((all) => all.map((each) => each.textContent));
  expect(shown.map((path) => path?.replaceAll('\u200b', '')).sort()).toEqual(
    Object.entries<object>(paths)
      .flatMap(([path, methods]) => Object.keys(methods).map(() => path))
      .sort(),
  );

  const health = page.locator('.opblock', { has: page.locator('[data-path="/health"]') });
  await health.locator('.opblock-summary').click();
  await health.getByRole('button', { name: 'Try it out' }).click();
  await health.getByRole('button', { name: 'Execute' }).click();
  const reply = health.locator('.live-responses-table .response-col_description code').first();
  await expect.poll(() => reply.textContent()).toContain('"free_slots"');
  expect(complaints).toEqual([]);
});

test('/docs may not be framed, nor load from elsewhere', async () => {
  const { headers } = await fetch(`${up.client.url}/docs/`);
  expect(headers.get('content-security-policy')).toContain("default-src 'self'; ");
  expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
});
