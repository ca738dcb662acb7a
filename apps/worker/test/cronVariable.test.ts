import { expect, it } from 'vitest'
import { cronVariable } from '../src/cronVariable.ts'

it.each([
  ['cleanupPreviewSessions', 'CLEANUP_PREVIEW_SESSIONS_CRON'],
  ['cleanupI18nCache', 'CLEANUP_I18N_CACHE_CRON'],
  ['sweep', 'SWEEP_CRON'],
  ['sendPDFToMail', 'SEND_PDF_TO_MAIL_CRON'],
  ['sendAsPDF', 'SEND_AS_PDF_CRON'],
  ['rotateKey2Times', 'ROTATE_KEY2_TIMES_CRON'],
])('names the variable of %s %s', (jobName, variable) => {
  expect(cronVariable(jobName)).toBe(variable)
})
