import { getJobRun, type JobsReader } from '@roundsman/engine/client'
import { listJobTicks, listRecentRuns, listRunActions } from '@roundsman/engine/internal'
import { JobError, nextTick, type Job } from '@roundsman/engine'
import { z } from 'zod'
import { REFUSED, type Access } from '../access.ts'
import { route, type AdminParts, type Route } from '../route.ts'
import { earlierSchema, keyedTickSchema, listedJobSchema, type ListedJob } from '../contract.ts'
import { describeSchedules } from '../console/describeSchedules.ts'
import { formatCursor, instantCursor, nextPageCursor } from '../http/pageCursor.ts'
import { Problem, toRequestErrors } from '../http/problem.ts'
import { refusePause, refusePayload, refuseRun, refuseUnknownJob, tellEarlier } from './refuse.ts'
import { pageLimit } from '../http/fields.ts'
import {
  dryRunFlag,
  idParams,
  nameParams,
  optionalReasonBody,
  reasonBody,
  requestReason,
  workParams,
} from './requestParts.ts'

export const requestedSchema = z.object({
  workId: z.guid().describe('The id of the work; each of its runs has it as workId'),
})

const againBody = z.strictObject({
  reason: requestReason,
  dryRun: dryRunFlag,
  payload: z
    .record(z.string(), z.unknown())
    .optional()
    .describe(
      'The payload as it was shown, with changes, for whom `authorize` says `payloads: true`. What is still as it was shown stays what it was, also where it was masked',
    ),
})

/** A user who may not see a payload must not overwrite parts of it. */
function expectPayloads(payload: object | undefined, { payloads }: Pick<Access, 'payloads'>): void {
  if (payload !== undefined && payloads !== true)
    throw new Problem(403, { detail: REFUSED.payloads })
}

const tickSchema = keyedTickSchema
  .omit({ version: true, run: true })
  .extend({ workId: z.guid().nullable(), createdAt: z.iso.datetime() })

/** The actions of people on a job. Each request writes rows for the workers: nothing here schedules or executes a job. */
export function jobRoutes({ client, jobs, now }: AdminParts): Route[] {
  return [
    route('GET /jobs', {
      summary: 'List jobs, with their schedules and last runs',
      answer: { 200: z.object({ jobs: z.array(listedJobSchema) }) },
      handle: async () => ({ jobs: await listJobs(client.reader, jobs, now()) }),
    }),

    route('GET /jobs/named/:name/ticks', {
      summary: 'List the ticks of a job with their outcomes, newest first',
      params: nameParams,
      query: z.strictObject({
        limit: pageLimit(60),
        cursor: instantCursor,
      }),
      answer: {
        200: z.object({
          ticks: z.array(tickSchema),
          nextCursor: nextPageCursor,
        }),
      },
      refuses: [404],
      handle: async ({ params: { name }, query: { limit, cursor } }) => {
        const { ticks, next } = await listJobTicks(client.reader, { name, limit, before: cursor })
        // The ticks of a job that has left the catalogue can still be read.
        if (ticks.length === 0) findJob(jobs, name)
        return { ticks, nextCursor: next && formatCursor({ at: next }) }
      },
    }),

    route('POST /jobs/named/:name/run', {
      summary: 'Request a run',
      description:
        'A worker starts the run at once. If the job runs one at a time, it starts after the run under way.',
      params: nameParams,
      body: z.strictObject({
        reason: requestReason,
        dryRun: dryRunFlag,
        payload: z
          .record(z.string(), z.unknown())
          .default({})
          .describe('The payload; the job checks it against its schema'),
      }),
      answer: { 202: requestedSchema },
      refuses: [404],
      handle: async ({ params: { name }, body: { dryRun, payload }, by, logAct }) => {
        const job = findJob(jobs, name)
        const request = { ...by, dryRun, payload }
        const workId = await client.requestRun(job, request).catch((error: unknown) => {
          throw refusedPayload(`job ${job.name}`, error)
        })
        logAct({ name, workId, dryRun }, 'job run requested')
        return { workId }
      },
    }),

    route('POST /jobs/runs/:id/run-again', {
      summary: 'Request a new run with the payload of an earlier one',
      description:
        'The queue holds it while the work waits for a retry or is a dead letter; a run that a schedule started needs none.',
      params: idParams,
      body: againBody,
      answer: {
        202: requestedSchema.extend({
          earlier: earlierSchema.describe(
            'Who had this run done again before; left out when nobody had',
          ),
        }),
      },
      refuses: [404, 409],
      handle: async ({ params: { id }, body: { dryRun, payload }, by, access, logAct }) => {
        expectPayloads(payload, access)
        const run = await getJobRun(client.reader, id)
        const job = jobs.find(({ name }) => name === run?.name)
        if (run === null) throw await refuseRun(client.reader, id, 'notFound')
        if (!job) throw refuseUnknownJob(run.name)
        const earlier = (await listRunActions(client.reader, { id, workId: null })).findLast(
          ({ action }) => action === (dryRun ? 'dryRun' : 'run'),
        )
        const outcome = await client
          .runAgain(job, id, { ...by, dryRun, payload })
          .catch((error: unknown) => {
            throw refusedPayload(`job ${job.name}`, error, access)
          })
        if (outcome.kind !== 'requested') throw await refuseRun(client.reader, id, outcome.kind)
        const { workId } = outcome
        logAct({ name: job.name, runId: id, workId, dryRun }, 'job run requested')
        return { workId, ...tellEarlier(earlier ?? null) }
      },
    }),

    route('POST /jobs/work/:workId/run-again', {
      summary: 'Request a new run with the payload of work that waits or is a dead letter',
      description: 'The work itself does not change.',
      params: workParams,
      body: againBody,
      answer: { 202: requestedSchema },
      refuses: [404, 409],
      handle: async ({ params: { workId: of }, body: { dryRun, payload }, by, access, logAct }) => {
        expectPayloads(payload, access)
        const { name } = (await client.explain(of)) ?? {}
        const job = jobs.find((one) => one.name === name)
        if (name == null) throw refusePayload({ kind: 'notFound' })
        if (!job) throw refuseUnknownJob(name)
        const outcome = await client
          .runAgain(job, { workId: of }, { ...by, dryRun, payload })
          .catch((error: unknown) => {
            throw refusedPayload(`job ${job.name}`, error, access)
          })
        if (outcome.kind !== 'requested') throw refusePayload(outcome)
        const { workId } = outcome
        logAct({ name, of, workId, dryRun }, 'job run requested')
        return { workId }
      },
    }),

    route('POST /jobs/named/:name/pause', {
      summary: 'Pause a schedule',
      description:
        'Until the schedule is resumed, its ticks are recorded as skipped. A run under way goes on.',
      params: nameParams,
      body: reasonBody,
      answer: { 200: z.object({ name: z.string(), paused: z.literal(true) }) },
      refuses: [404, 409],
      handle: async ({ params: { name }, by, logAct }) => {
        const job = findJob(jobs, name)
        const outcome = await client.pauseSchedule(name, by)
        if (outcome === 'notScheduled') throw notScheduled(job)
        if (outcome !== 'paused') throw await refusePause(client.reader, 'schedule', name, outcome)
        logAct({ name }, 'job paused')
        return { name, paused: true as const }
      },
    }),

    route('POST /jobs/named/:name/resume', {
      summary: 'Resume a schedule',
      description:
        'The schedule goes on with its next tick. Ticks that were due meanwhile stay skipped.',
      params: nameParams,
      body: optionalReasonBody,
      answer: { 200: z.object({ name: z.string(), paused: z.literal(false) }) },
      refuses: [404, 409],
      handle: async ({ params: { name }, by, logAct }) => {
        const job = findJob(jobs, name)
        const outcome = await client.resumeSchedule(name, by)
        if (outcome === 'notScheduled') throw notScheduled(job)
        if (outcome !== 'resumed') throw await refusePause(client.reader, 'schedule', name, outcome)
        logAct({ name }, 'job resumed')
        return { name, paused: false as const }
      },
    }),
  ]
}

/** @throws Problem 404 with the list of jobs */
export function findJob(jobs: readonly Job[], name: string): Job {
  const job = jobs.find((candidate) => candidate.name === name)
  if (job) return job
  const known = jobs.map((candidate) => candidate.name).join(', ')
  throw new Problem(404, { detail: `There is no job with this name; there are: ${known}` })
}

/**
 * Reports each invalid part of the payload if that is the error; otherwise returns the error itself. Details of a stored
 * payload are for people who may see it: then pass their `access`.
 */
export function refusedPayload(
  whose: string,
  error: unknown,
  { payloads }: Pick<Access, 'payloads'> = { payloads: true },
): unknown {
  if (!(error instanceof JobError) || error.code !== 'payload_invalid') return error
  const issues = error.details.issues as { path: string[]; message: string; keys?: string[] }[]
  const errors = toRequestErrors(['body', 'payload'], issues)
  return new Problem(400, {
    detail: `The payload does not fit the ${whose}`,
    ...(payloads && { extensions: { errors } }),
  })
}

function notScheduled({ name, schedule }: Job): Problem {
  const why = schedule
    ? 'is not scheduled yet: no worker has started with it'
    : 'has no schedule: it runs on request only'
  return new Problem(404, { detail: `${name} ${why}` })
}

/** Every job of the catalogue, in its order, with its state. */
async function listJobs(reader: JobsReader, jobs: readonly Job[], now: Date): Promise<ListedJob[]> {
  const names = jobs.map(({ name }) => name)
  const [schedules, runs] = await Promise.all([
    describeSchedules(reader, jobs, now),
    listRecentRuns(reader, names, { limit: 1 }),
  ])
  const lastOf = new Map(runs.map((run) => [run.name, run]))
  return jobs.map(({ name, description }, index) => {
    const { schedule = null, paused = null } = schedules[index] ?? {}
    const next = schedule === null || paused !== null ? null : nextTick(schedule, now)
    return {
      name,
      description,
      schedule: schedule && { ...schedule, nextRun: next?.toISOString() ?? null },
      paused,
      lastRun: lastOf.get(name) ?? null,
    }
  })
}
