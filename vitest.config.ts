import { join } from 'node:path'
import { defineConfig } from 'vitest/config'
import { closingLine } from './packages/testing/src/closingLine.ts'

// Our packages are loaded from their sources: no build before the tests, and none that could be
// stale.
const conditions = ['@roundsman/source', 'module', 'node', 'development|production']

const TESTING = join(import.meta.dirname, 'packages/testing/src')

export default defineConfig({
  resolve: {
    conditions,
    alias: [
      // The packages that the testing package is built on cannot name it as a dependency.
      { find: /^@roundsman\/testing$/, replacement: `${TESTING}/index.ts` },
      { find: /^@roundsman\/testing\/(\w+)$/, replacement: `${TESTING}/$1.ts` },
    ],
  },
  ssr: { resolve: { conditions } },
  // The global setup is loaded in an environment of its own; without this it would run what was built last.
  environments: { __vitest__: { resolve: { conditions } } },
  test: {
    include: [
      'packages/*/test/**/*.test.ts',
      'apps/*/test/**/*.test.ts',
      'scripts/test/**/*.test.ts',
    ],
    setupFiles: ['packages/testing/src/leaveNothing.ts'],
    provide: { leavesNothing: '/packages/engine/test/(job|read|work|control|store)/' },
    // Of every process that a test starts: they load the same code again and again.
    env: { NODE_COMPILE_CACHE: join(import.meta.dirname, 'node_modules/.cache/compile') },
    globalSetup: ['packages/testing/src/globalSetup.ts'],
    passWithNoTests: false,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    teardownTimeout: 30_000,
    maxWorkers: 2,
    reporters: ['default', closingLine()],
  },
})
