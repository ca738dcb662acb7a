import { defineConfig, mergeConfig } from 'vitest/config'
import config from './vitest.config.ts'

/** Asserts that each test file leaves nothing behind: `vitest run --config vitest.leftovers.config.ts FILE`. */
export default mergeConfig(config, defineConfig({ test: { provide: { leavesNothing: '' } } }))
