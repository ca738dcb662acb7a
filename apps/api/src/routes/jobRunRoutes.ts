import {
  JobRunStatus,
  JobTrigger,
  listJobRuns,
  parseJobRunCursor,
  type JobRun,
  type PrismaClient,
} from '@roundsman/db'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { instant } from '../instant.ts'
import { problemResponses } from '../problem.ts'
import { storableText } from '../storableText.ts'

const LIMIT_RULE = 'has to be a whole number from 1 to 200'

const listQuery = z
  .strictObject({
    limit: z
      .preprocess(toWholeNumber, z.int(LIMIT_RULE).min(1, LIMIT_RULE).max(200, LIMIT_RULE))
      .default(50)
      .describe('Runs at most; 50 when left out'),
    cursor: z
      .string()
      .max(200)
      .transform((text, context) => {
        const cursor = parseJobRunCursor(text)
        if (cursor) return cursor
        context.addIssue('is not a nextCursor of an earlier answer')
        return z.NEVER
      })
      .optional()
      .describe('nextCursor of the page before'),
    name: storableText({ max: 100 }).optional().describe('Name of the job'),
    status: z.enum(JobRunStatus).optional(),
    trigger: z.enum(JobTrigger).optional(),
    from: instant.optional().describe('Started at this instant or later'),
    to: instant.optional().describe('Started before this instant'),
  })
  .refine(({ from, to }) => !from || !to || from < to, {
    path: ['to'],
    error: 'has to be later than from',
  })

const runSchema = z.object({
  id: z.guid(),
  name: z.string(),
  status: z.enum(JobRunStatus),
  trigger: z.enum(JobTrigger),
  attempt: z.int().describe('1 for the first delivery'),
  scheduledFor: z.iso.datetime().nullable().describe('The instant that the schedule named'),
  startedAt: z.iso.datetime(),
  endedAt: z.iso.datetime().nullable().describe('Null while it is running'),
  durationMs: z.int().nullable().describe('Null while it is running'),
  details: z.unknown().describe('Exact counts, and error with code and message when it failed'),
  dryRun: z.boolean(),
  actor: z.string().nullable().describe('Who asked for it, when a person did'),
  reason: z.string().nullable(),
  queueJobId: z.guid().nullable(),
  workerId: z.string(),
  createdAt: z.iso.datetime(),
})

/** Reads what the workers recorded. Nothing here starts, ends or records a run. */
export const jobRunRoutes: FastifyPluginAsyncZod<{ prisma: PrismaClient }> = async (
  app,
  { prisma },
) => {
  app.get(
    '/api/jobs/runs',
    {
      onRequest: app.requireRole('admin'),
      schema: {
        tags: ['jobs'],
        summary: 'List job runs, newest first',
        security: [{ accessToken: [] }],
        querystring: listQuery,
        response: {
          200: z.object({
            runs: z.array(runSchema),
            nextCursor: z
              .string()
              .nullable()
              .describe('For the next page; null when there is none'),
          }),
          ...problemResponses(400, 401, 403),
        },
      },
    },
    async ({ query }) => {
      const { runs, nextCursor } = await listJobRuns(prisma, query)
      return { runs: runs.map(present), nextCursor }
    },
  )
}

function present(run: JobRun): z.output<typeof runSchema> {
  return {
    ...run,
    scheduledFor: run.scheduledFor?.toISOString() ?? null,
    startedAt: run.startedAt.toISOString(),
    endedAt: run.endedAt?.toISOString() ?? null,
    durationMs: run.endedAt && run.endedAt.getTime() - run.startedAt.getTime(),
    createdAt: run.createdAt.toISOString(),
  }
}

/** Digits only: Number() would also take '', ' 5', '0x10' and '1e2'. */
function toWholeNumber(text: unknown): unknown {
  return typeof text === 'string' && /^\d{1,9}$/.test(text) ? Number(text) : text
}
