import { hostname } from 'node:os'
import { createDatabaseClient } from '@roundsman/db'
import { defineHandlersModule } from '@roundsman/engine'
import { disconnect } from './disconnect.ts'
import { openMailer } from './email/openMailer.ts'
import { readWorkerEnvironment } from './env.ts'
import { createInvoiceRenderer } from './invoicePdf/createInvoiceRenderer.ts'
import { createHandlers } from './jobs/index.ts'

/** The address of this file. The worker has the child processes of isolated jobs load it. */
export const handlersModule = import.meta.url

/** Opens what the handlers need in a child process of isolated runs, and closes it before that process ends. */
export const openHandlers = defineHandlersModule(async ({ databaseUrl, log }) => {
  const env = readWorkerEnvironment()
  const prisma = createDatabaseClient({
    url: databaseUrl,
    applicationName: `roundsman ${hostname()}:${process.ppid} isolated`,
    poolSize: 2,
    onPoolError: (error) => log.warn({ err: error }, 'database connection lost'),
  })
  const renderer = createInvoiceRenderer()
  const mailer = await openMailer(env)
  return {
    jobs: env.jobs,
    handlers: createHandlers({ env, prisma, renderer, mailer }),
    client: prisma,
    async close() {
      await renderer.close()
      mailer?.close()
      await disconnect(prisma)
    },
  }
})
