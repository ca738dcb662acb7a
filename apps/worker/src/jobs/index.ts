import type { PrismaClient } from '@roundsman/db'
import type { jobs } from '@roundsman/jobs'
import type { HandlersFor } from '@roundsman/engine'
import type { Mailer } from '../email/createMailer.ts'
import type { WorkerEnvironment } from '../env.ts'
import type { InvoiceRenderer } from '../invoicePdf/createInvoiceRenderer.ts'
import { cleanupI18nCache } from './cleanupI18nCache.ts'
import { cleanupPreviewSessions } from './cleanupPreviewSessions.ts'
import { dispatchEmail } from './dispatchEmail.ts'
import type { Transaction } from './handler.ts'
import { renderInvoicePdf } from './renderInvoicePdf.ts'
import { sendWeeklyReport } from './sendWeeklyReport.ts'

type CleanupEnvironment = Pick<WorkerEnvironment, 'I18N_CACHE_MAX_AGE_DAYS'>

export interface HandlerDependencies {
  env: CleanupEnvironment & Pick<WorkerEnvironment, 'seller' | 'MAIL_FROM'>
  prisma: PrismaClient
  renderer: Pick<InvoiceRenderer, 'render'>
  /** Null when the environment names no mail server. */
  mailer: Pick<Mailer, 'send'> | null
}

/**
 * The handlers that remove rows, each with what it sweeps. Apart from the others, so that `worker:check` can read what
 * they sweep without a renderer or a mailer.
 */
export function createCleanups(env: CleanupEnvironment) {
  return {
    cleanupPreviewSessions,
    cleanupI18nCache: cleanupI18nCache({ maxAgeDays: env.I18N_CACHE_MAX_AGE_DAYS }),
  }
}

/** A handler for each of the product's jobs: a missing one is a type error here. */
export function createHandlers({
  env,
  prisma,
  renderer,
  mailer,
}: HandlerDependencies): HandlersFor<typeof jobs, Transaction> {
  return {
    ...createCleanups(env),
    renderInvoicePdf: renderInvoicePdf({ prisma, renderer, seller: env.seller }),
    dispatchEmail: dispatchEmail({ prisma, mailer }),
    sendWeeklyReport: sendWeeklyReport({ from: env.MAIL_FROM }),
  }
}
