import { defineConfig, mergeConfig } from 'vitest/config'
import config from './vitest.config.ts'

/** Also asserts of each test file that it leaves nothing behind: `vitest run --config vitest.leftovers.config.ts FILE`. */
export default mergeConfig(
  config,
  defineConfig({ test: { setupFiles: ['packages/testing/src/leaveNothing.ts'] } }),
)
