import { withEngineJobs } from '@roundsman/engine'
import { cleanupI18nCache } from './cleanupI18nCache.ts'
import { cleanupPreviewSessions } from './cleanupPreviewSessions.ts'
import { dispatchEmail } from './dispatchEmail.ts'
import { renderInvoicePdf } from './renderInvoicePdf.ts'

export { cleanupI18nCache, cleanupPreviewSessions, dispatchEmail, renderInvoicePdf }

/** Everything that this product runs outside its requests, with what the engine does for itself. */
export const jobs = withEngineJobs([
  cleanupPreviewSessions,
  cleanupI18nCache,
  renderInvoicePdf,
  dispatchEmail,
])
