import type { Job } from '@roundsman/engine'
import type { Reader } from '@roundsman/engine/client'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { Problem, problemResponses } from '../../http/problem.ts'
import { storableText } from '../../http/storableText.ts'
import { jobDetailSchema, jobsSchema, overviewSchema, queueSchema } from './consoleContract.ts'
import { createHourCounts } from './createHourCounts.ts'
import { createJobDays } from './createJobDays.ts'
import { readJobDetail } from './readJobDetail.ts'
import { readJobs } from './readJobs.ts'
import { readOverview } from './readOverview.ts'
import { readQueue } from './readQueue.ts'

interface ConsoleRoutesOptions {
  reader: Reader
  jobs: readonly Job[]
  now: () => Date
}

const security = [{ accessToken: [] }]

/** What the console's pages show, each with one request. All of it only reads. */
export const consoleRoutes: FastifyPluginAsyncZod<ConsoleRoutesOptions> = async (
  app,
  { reader, jobs, now },
) => {
  const countHours = createHourCounts(reader)
  const readDays = createJobDays(reader)

  app.get(
    '/api/console/overview',
    {
      onRequest: app.requireRole('admin'),
      schema: {
        tags: ['console'],
        summary: 'Whether all is well, and what is not',
        security,
        response: { 200: overviewSchema, ...problemResponses(401, 403) },
      },
    },
    () => readOverview(reader, jobs, now(), countHours),
  )

  app.get(
    '/api/console/jobs',
    {
      onRequest: app.requireRole('admin'),
      schema: {
        tags: ['console'],
        summary: 'Every job with its last ticks and runs',
        security,
        response: { 200: jobsSchema, ...problemResponses(401, 403) },
      },
    },
    async () => ({ jobs: await readJobs(reader, jobs, now()) }),
  )

  app.get(
    '/api/console/jobs/:name',
    {
      onRequest: app.requireRole('admin'),
      schema: {
        tags: ['console'],
        summary: 'One job: its calendar, its durations, its ticks to come',
        security,
        params: z.strictObject({ name: storableText({ max: 100 }) }),
        response: { 200: jobDetailSchema, ...problemResponses(400, 401, 403, 404) },
      },
    },
    async ({ params: { name } }) => {
      const job = jobs.find((candidate) => candidate.name === name)
      if (!job) throw new Problem(404, { detail: 'There is no job with this name' })
      return await readJobDetail(reader, job, now(), readDays)
    },
  )

  app.get(
    '/api/console/queue',
    {
      onRequest: app.requireRole('admin'),
      schema: {
        tags: ['console'],
        summary: 'What waits in the queue, and how fast it goes',
        security,
        response: { 200: queueSchema, ...problemResponses(401, 403) },
      },
    },
    () => readQueue(reader, jobs, now()),
  )
}
