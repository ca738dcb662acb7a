import type { PrismaClient } from '@roundsman/db'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { Problem, problemResponses } from '../problem.ts'

interface HealthOptions {
  prisma: PrismaClient
  readinessTimeoutMs: number
}

export const healthRoutes: FastifyPluginAsyncZod<HealthOptions> = async (app, options) => {
  const isDatabaseThere = createDatabaseCheck(options)

  app.get(
    '/health/live',
    {
      logLevel: 'warn',
      schema: {
        tags: ['health'],
        summary: 'Whether the process answers',
        response: { 200: z.object({ status: z.literal('live') }), ...problemResponses() },
      },
    },
    async () => ({ status: 'live' as const }),
  )

  app.get(
    '/health/ready',
    {
      logLevel: 'warn',
      schema: {
        tags: ['health'],
        summary: 'Whether requests can be served, which takes the database',
        response: { 200: z.object({ status: z.literal('ready') }), ...problemResponses(503) },
      },
    },
    async () => {
      if (!(await isDatabaseThere()))
        throw new Problem(503, { detail: 'The database does not answer' })
      return { status: 'ready' as const }
    },
  )
}

function createDatabaseCheck({
  prisma,
  readinessTimeoutMs,
}: HealthOptions): () => Promise<boolean> {
  let query: Promise<boolean> | undefined

  return async () => {
    // One query at a time, however many ask: while the database hangs, no further connection waits
    // for it.
    query ??= ask().finally(() => {
      query = undefined
    })
    const { promise: timedOut, resolve } = Promise.withResolvers<false>()
    const timer = setTimeout(resolve, readinessTimeoutMs, false)
    try {
      return await Promise.race([query, timedOut])
    } finally {
      clearTimeout(timer)
    }
  }

  async function ask(): Promise<boolean> {
    try {
      await prisma.$queryRaw`select 1`
      return true
    } catch {
      return false
    }
  }
}
