import { cleanupI18nCache } from './cleanupI18nCache.ts'
import { cleanupPreviewSessions } from './cleanupPreviewSessions.ts'
import { dispatchEmail } from './dispatchEmail.ts'
import { pruneJobRuns } from './pruneJobRuns.ts'
import { renderInvoicePdf } from './renderInvoicePdf.ts'

export { cleanupI18nCache, cleanupPreviewSessions, dispatchEmail, pruneJobRuns, renderInvoicePdf }

/** Everything that this product runs outside its requests. */
export const jobs = [
  cleanupPreviewSessions,
  cleanupI18nCache,
  pruneJobRuns,
  renderInvoicePdf,
  dispatchEmail,
] as const
