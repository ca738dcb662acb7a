// Processes: kills clean-ups.
import { describe } from 'vitest'
import { i18nCache, previewSessions } from './cleanups.ts'
import { describeKilledCleanup } from './describeCleanup.ts'

describe('cleanupPreviewSessions', () => {
  describeKilledCleanup(previewSessions)
})

describe('cleanupI18nCache', () => {
  describeKilledCleanup(i18nCache)
})
