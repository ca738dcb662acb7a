import { withEngineJobs } from '@roundsman/engine'
import { cleanupI18nCache } from './cleanupI18nCache.ts'
import { cleanupPreviewSessions } from './cleanupPreviewSessions.ts'
import { dispatchEmail } from './dispatchEmail.ts'
import { renderInvoicePdf } from './renderInvoicePdf.ts'
import { sendWeeklyReport } from './sendWeeklyReport.ts'

export {
  cleanupI18nCache,
  cleanupPreviewSessions,
  dispatchEmail,
  renderInvoicePdf,
  sendWeeklyReport,
}

/** All jobs of this product, with the engine's own. */
export const jobs = withEngineJobs([
  cleanupPreviewSessions,
  cleanupI18nCache,
  renderInvoicePdf,
  dispatchEmail,
  sendWeeklyReport,
])
