import { cleanupI18nCache } from './cleanupI18nCache.ts'
import { cleanupPreviewSessions } from './cleanupPreviewSessions.ts'
import { pruneJobRuns } from './pruneJobRuns.ts'

export { cleanupI18nCache, cleanupPreviewSessions, pruneJobRuns }

/** Everything that this product runs outside its requests. */
export const jobs = [cleanupPreviewSessions, cleanupI18nCache, pruneJobRuns] as const
