import { Problem, describeProblems, problemResponses, problemSchema } from '@roundsman/admin/http'
import type { PrismaClient } from '@roundsman/db'
import type { Job } from '@roundsman/engine'
import { describeProblem, type JobsReader } from '@roundsman/engine/client'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { readHealth } from './readHealth.ts'

interface HealthOptions {
  prisma: PrismaClient
  reader: JobsReader
  jobs: readonly Job[]
  now: () => Date
  readinessTimeoutMs: number
}

const since = z.iso.datetime()
const jobProblemSchema = z.discriminatedUnion('kind', [
  z
    .object({ kind: z.literal('noWorker'), lastSignAt: since.nullable() })
    .describe(
      'No worker is alive, or those alive have JOBS_ENABLED=false; the last sign of one, null when none is on record',
    ),
  z
    .object({ kind: z.literal('late'), name: z.string(), since })
    .describe(
      'A tick was due at since, and no worker has decided it within the job’s grace period',
    ),
  z
    .object({ kind: z.literal('unscheduled'), name: z.string() })
    .describe('Workers are alive, but none of them has this schedule: they run another version'),
  z
    .object({ kind: z.literal('overrunning'), name: z.string(), runId: z.guid(), since })
    .describe(
      'A run that started at since still runs, beyond its time-out and the job’s grace period',
    ),
  z
    .object({
      kind: z.literal('orphaned'),
      name: z.string(),
      waiting: z.int(),
      isCut: z.boolean().describe('Whether more waits: counting stops at 100,000'),
    })
    .describe(
      'Work waits of a job that is not in the catalogue, and no worker that is alive takes it',
    ),
])

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
          '503 when a schedule is late, a run overruns, work waits that nobody takes, or no worker is alive, so that an uptime monitor can raise an alarm. ' +
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
        detail: problems.map(describeProblem).join('; '),
        extensions: { problems },
      })
    },
  )
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
