import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    env: { WEFT_CACHE_DIR: fileURLToPath(new URL('node_modules/.cache/weft', import.meta.url)) },
    reporters: ['default', './test/support/reporter.ts'],
    // Only tests that hang should reach these: on a busy machine the slowest take a minute.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    pool: 'forks',
    maxWorkers: 2,
  },
});
