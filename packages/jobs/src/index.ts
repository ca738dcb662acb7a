import { cleanupI18nCache } from './cleanupI18nCache.ts'
import { cleanupPreviewSessions } from './cleanupPreviewSessions.ts'

export { cleanupI18nCache, cleanupPreviewSessions }

/** Everything that this product runs outside its requests. */
export const jobs = [cleanupPreviewSessions, cleanupI18nCache] as const
