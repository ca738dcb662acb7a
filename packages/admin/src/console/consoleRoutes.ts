import type { Job } from '@roundsman/engine'
import { searchRuns, searchWork } from '@roundsman/engine/internal'
import { z } from 'zod'
import { route, type AdminParts, type Route } from '../route.ts'
import { Problem } from '../http/problem.ts'
import {
  accessSchema,
  environmentSchema,
  jobDetailSchema,
  jobsSchema,
  overviewSchema,
  payloadSchema,
  queueSchema,
  workersSchema,
  searchSchema,
  type ConsoleEnvironment,
} from '../contract.ts'
import { createJobDays } from './createJobDays.ts'
import { createSpanCounts } from './createSpanCounts.ts'
import { describePayload } from './describePayload.ts'
import { readJobDetail } from './readJobDetail.ts'
import { readJobs } from './readJobs.ts'
import { readOverview } from './readOverview.ts'
import { readQueue } from './readQueue.ts'
import { readWorkers } from './readWorkers.ts'
import { storableText } from '../http/fields.ts'

const MINUTE_MS = 60_000
/** The last hour by the minute, and the last day by the hour. */
const HOUR = { lengthMs: MINUTE_MS, spans: 60, settleMs: 2 * MINUTE_MS }
const DAY = { lengthMs: 60 * MINUTE_MS, spans: 25, settleMs: 10 * MINUTE_MS }

interface ConsoleRoutesOptions extends AdminParts {
  environment: ConsoleEnvironment
}

/** The routes of the console's pages, one request for each page. All of them only read. */
export function consoleRoutes(options: ConsoleRoutesOptions): Route[] {
  const { client, jobs, now, environment } = options
  const { reader } = client
  const countHours = createSpanCounts(reader, DAY)
  const countMinutes = createSpanCounts(reader, HOUR)
  const readDays = createJobDays(reader)

  return [
    route('GET /console/access', {
      summary: 'Show who is logged in, and what they may do',
      answer: { 200: accessSchema },
      handle: async (request) => {
        const { actor, act, payloads = false } = request.access
        return { actor, act, payloads }
      },
    }),

    route('GET /console/environment', {
      summary: 'Show the environment, version and database',
      answer: { 200: environmentSchema },
      handle: async () => environment,
    }),

    route('GET /console/overview', {
      summary: 'Show whether all is well, and what needs attention',
      answer: { 200: overviewSchema },
      handle: () => readOverview({ reader, jobs, now: now(), countHours }),
    }),

    route('GET /console/jobs', {
      summary: 'List all jobs with their latest ticks and runs',
      answer: { 200: jobsSchema },
      handle: async () => ({ jobs: await readJobs(reader, jobs, now()) }),
    }),

    route('GET /console/jobs/:name', {
      summary: 'Show a job with its calendar, durations and next runs',
      params: z.strictObject({ name: storableText({ max: 100 }) }),
      answer: { 200: jobDetailSchema },
      refuses: [404],
      handle: async ({ params: { name } }) => {
        const job = jobs.find((candidate) => candidate.name === name)
        if (!job) throw new Problem(404, { detail: 'There is no job with this name' })
        return await readJobDetail(reader, job, jobs, now(), readDays)
      },
    }),

    route('GET /console/jobs/:name/payload', {
      summary: 'Show the payload that a job takes, for a form',
      params: z.strictObject({ name: storableText({ max: 100 }) }),
      answer: { 200: payloadSchema },
      refuses: [404],
      handle: async ({ params: { name } }) => {
        const job = jobs.find((candidate) => candidate.name === name)
        if (!job) throw new Problem(404, { detail: 'There is no job with this name' })
        return describePayload(job)
      },
    }),

    route('GET /console/queue', {
      summary: 'Show the waiting work, and how fast workers take it',
      answer: { 200: queueSchema },
      handle: () => readQueue(reader, jobs, now(), countMinutes),
    }),

    route('GET /console/workers', {
      summary: 'List all workers and what they run',
      answer: { 200: workersSchema },
      handle: () => readWorkers(reader, jobs, now()),
    }),

    route('GET /console/search', {
      summary: 'Search jobs, schedules, keys, waiting work, dead letters, runs, errors and workers',
      query: z.strictObject({ q: storableText({ max: 200 }) }),
      answer: { 200: searchSchema },
      handle: async ({ query: { q }, access: { payloads: messages } }) => {
        const [runs, work] = await Promise.all([
          searchRuns(reader, q, { messages }),
          searchWork(reader, q),
        ])
        return { jobs: findJobs(jobs, q), ...runs, ...work }
      },
    }),
  ]
}

const MAX_JOBS = 5

/** Jobs whose name contains the text come before those whose description does. */
function findJobs(jobs: readonly Job[], text: string): Pick<Job, 'name' | 'description'>[] {
  const wanted = text.trim().toLowerCase()
  if (wanted === '') return []
  const holds = (value: string) => value.toLowerCase().includes(wanted)
  const byName = jobs.filter(({ name }) => holds(name))
  const byWords = jobs.filter(({ name, description }) => !holds(name) && holds(description))
  return [...byName, ...byWords].slice(0, MAX_JOBS)
}
