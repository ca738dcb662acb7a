import { Problem, describeProblems, problemResponses, problemSchema } from '@roundsman/admin/http'
import type { PrismaClient } from '@roundsman/db'
import type { Job } from '@roundsman/engine'
import type { JobsReader } from '@roundsman/engine/client'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { readHealth, type UnhealthyJob } from './readHealth.ts'

interface HealthOptions {
  prisma: PrismaClient
  reader: JobsReader
  jobs: readonly Job[]
  now: () => Date
  readinessTimeoutMs: number
}

const jobProblemSchema = z.object({
  kind: z
    .enum(['database', 'noWorker', 'silent', 'late'])
    .describe(
      'The database refuses writes; no worker is alive, or none takes or schedules the jobs; a worker gives no sign or does not end a run; or no worker has decided a tick that is due',
    ),
  jobs: z.array(z.string()).describe('Empty where it is about all jobs'),
  since: z.iso.datetime().nullable(),
})

const unhealthySchema = problemSchema
  .extend({
    problems: z
      .array(jobProblemSchema)
      .optional()
      .describe('What is wrong; left out when the database does not answer'),
  })
  .meta({ id: 'UnhealthyJobs' })

/**
 * Routes for whoever watches: whether the process answers, whether it has a database, and whether the jobs are done.
 */
export const healthRoutes: FastifyPluginAsyncZod<HealthOptions> = async (app, options) => {
  const { prisma, reader, jobs, now, readinessTimeoutMs } = options
  const limits = {
    timeoutMs: readinessTimeoutMs,
    onError: (err: unknown) => app.log.debug({ err }, 'the database did not answer'),
  }
  const ping = answerInTime(() => prisma.$queryRaw`select 1`, limits)
  const examineJobs = answerInTime(() => readHealth(reader, jobs, now()), limits)

  app.get(
    '/health/live',
    {
      logLevel: 'warn',
      schema: {
        tags: ['health'],
        summary: 'Check that the process answers',
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
        summary: 'Check that requests can be served: the database answers',
        response: { 200: z.object({ status: z.literal('ready') }), ...problemResponses(503) },
      },
    },
    async () => {
      if ((await ping()) === null) throw noDatabase()
      return { status: 'ready' as const }
    },
  )

  app.get(
    '/health/jobs',
    {
      logLevel: 'warn',
      schema: {
        tags: ['health'],
        summary: 'Check that jobs run on time, for an uptime monitor',
        description:
          '503 when a schedule is late, a worker is silent or does not end a run, work waits that nobody takes, or no worker is alive, so that an uptime monitor can raise an alarm. ' +
          'Paused schedules are never late. Monitors may ask every few seconds.',
        response: {
          200: z.object({
            status: z.literal('ok'),
            paused: z.array(z.string()).describe('Schedules that somebody has paused'),
            pausedQueues: z.array(z.string()).describe('Queues that somebody has paused'),
          }),
          ...problemResponses(),
          ...describeProblems(unhealthySchema, [503]),
        },
      },
    },
    async () => {
      const health = await examineJobs()
      if (health === null) throw noDatabase()
      const { problems, paused, pausedQueues } = health
      if (problems.length === 0) return { status: 'ok' as const, paused, pausedQueues }
      throw new Problem(503, {
        detail: problems.map(describe).join('; '),
        extensions: { problems },
      })
    },
  )
}

const SENTENCES = {
  database: 'the database refuses writes of',
  noWorker: 'no worker is alive, takes or schedules',
  silent: 'a worker gives no sign, or does not end a run of',
  late: 'no worker has decided ticks that are due of',
} as const

/** Anybody may ask, so it has no version, no key and no count. */
function describe({ kind, jobs, since }: UnhealthyJob): string {
  const which = jobs.length === 0 ? 'any job' : jobs.join(', ')
  return `${SENTENCES[kind]} ${which}${since === null ? '' : ` since ${since}`}`
}

function noDatabase(): Problem {
  return new Problem(503, { detail: 'The database does not answer' })
}

/**
 * Asks the database, and answers null when that fails or takes too long. It asks once at a time, however many want to
 * know, so that a database that hangs holds one connection only.
 */
function answerInTime<Answer>(
  ask: () => Promise<Answer>,
  { timeoutMs, onError }: { timeoutMs: number; onError: (error: unknown) => void },
): () => Promise<Answer | null> {
  let asking: Promise<Answer | null> | undefined

  return async () => {
    asking ??= ask()
      .catch((error: unknown) => {
        onError(error)
        return null
      })
      .finally(() => {
        asking = undefined
      })
    const { promise: timedOut, resolve } = Promise.withResolvers<null>()
    const timer = setTimeout(resolve, timeoutMs, null)
    try {
      return await Promise.race([asking, timedOut])
    } finally {
      clearTimeout(timer)
    }
  }
}
