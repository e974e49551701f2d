import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    env: { WEFT_CACHE_DIR: fileURLToPath(new URL('node_modules/.cache/weft', import.meta.url)) },
    reporters: ['default', './test/support/reporter.ts'],
    // Only what hangs should meet them: on a busy machine the slowest tests take a minute.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    pool: 'forks',
    maxWorkers: 2,
  },
});
