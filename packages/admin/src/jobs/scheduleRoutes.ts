import type { ListedSchedule } from '@roundsman/engine/client'
import {
  countKeyedSchedules,
  KEYED_OVERLAPS,
  listRecentKeyedTicks,
  listScheduleActions,
  MISSED_POLICIES,
} from '@roundsman/engine/internal'
import { ArgumentError, JobError } from '@roundsman/engine'
import { z } from 'zod'
import { cronInWords } from '../console/describeSchedules.ts'
import {
  keyedScheduleDetailSchema,
  keyedSchedulesSchema,
  keyedTicksSchema,
  schedulePreviewSchema,
  type KeyedSchedule,
} from '../contract.ts'
import { formatCursor, instantCursor, textCursor, toTextCursor } from '../http/pageCursor.ts'
import { invalidRequest, Problem } from '../http/problem.ts'
import { route, type AdminParts, type Route } from '../route.ts'
import { findJob, refusedPayload, requestedSchema } from './jobRoutes.ts'
import { refusePause, refuseUnknownSchedule } from './refuse.ts'
import { instant, pageLimit, storableText } from '../http/fields.ts'
import { nameParams, optionalReasonBody, reasonBody, requestReason } from './requestParts.ts'

const PREVIEWED = 10
const MAX_ACTIONS = 50
const MAX_KEY_LENGTH = 200

const keyParams = nameParams.extend({
  key: storableText({ max: MAX_KEY_LENGTH }).describe('Key of the schedule'),
})
const cronText = z.string().min(1).max(500).describe('Five fields, or six with seconds in front')
const timeZoneText = z.string().min(1).max(100).default('UTC').describe('IANA name; UTC by default')

/** Routes for keyed schedules, such as one for each customer. Payloads go in, and never out. */
export function scheduleRoutes({ client, jobs, now }: AdminParts): Route[] {
  const { schedules, reader } = client

  return [
    route('GET /jobs/named/:name/schedules', {
      tag: 'schedules',
      summary: 'List the schedules of a job that are kept as data, by key',
      params: nameParams,
      query: z.strictObject({
        search: storableText({ max: MAX_KEY_LENGTH }).optional().describe('How the key begins'),
        state: z.enum(['paused', 'refused', 'late']).optional(),
        limit: pageLimit(50),
        cursor: textCursor,
      }),
      answer: { 200: keyedSchedulesSchema },
      handle: async ({ params: { name }, query: { search, state, limit, cursor } }) => {
        const after = cursor === undefined ? undefined : { name, key: cursor }
        const [page, total] = await Promise.all([
          schedules.list({ name, search, state, limit, after }),
          countKeyedSchedules(reader, name),
        ])
        return {
          schedules: await present(page.schedules),
          total,
          nextCursor: page.next && toTextCursor(page.next.key),
        }
      },
    }),

    route('GET /jobs/named/:name/schedules/:key', {
      tag: 'schedules',
      summary: 'Show a schedule, its next runs and who changed it',
      params: keyParams,
      answer: { 200: keyedScheduleDetailSchema },
      refuses: [404],
      handle: async ({ params: { name, key } }) => {
        const [found, actions] = await Promise.all([
          schedules.get({ name, key }),
          listScheduleActions(reader, { name, key, limit: MAX_ACTIONS }),
        ])
        if (found === null && actions.length === 0) throw refuseUnknownSchedule(key, name)
        const [schedule = null] = await present(found === null ? [] : [found])
        const isDue = found !== null && found.pausedAt === null
        const upcoming = isDue
          ? preview({ ...found, startsAt: toDate(found.startsAt), endsAt: toDate(found.endsAt) })
          : []
        return { schedule, upcoming, actions }
      },
    }),

    route('GET /jobs/named/:name/schedules/:key/ticks', {
      tag: 'schedules',
      summary: 'List what became of a schedule’s ticks, the newest first',
      description: 'Also of a schedule that was deleted, while they are kept.',
      params: keyParams,
      query: z.strictObject({ limit: pageLimit(50), cursor: instantCursor }),
      answer: { 200: keyedTicksSchema },
      handle: async ({ params: { name, key }, query: { limit, cursor: before } }) => {
        const of = { name, keys: [key], before }
        const rows = await listRecentKeyedTicks(reader, { ...of, limit: limit + 1 })
        const ticks = rows.slice(0, limit)
        const last = rows.length > limit ? ticks.at(-1) : undefined
        return {
          ticks,
          nextCursor: last === undefined ? null : formatCursor({ at: last.scheduledFor }),
        }
      },
    }),

    route('GET /console/schedules/preview', {
      summary: 'Show the next ten runs that a schedule would have',
      query: z.strictObject({
        cron: cronText,
        timeZone: timeZoneText,
        startsAt: instant.optional(),
        endsAt: instant.optional(),
      }),
      answer: { 200: schedulePreviewSchema },
      handle: async ({ query }) => {
        const upcoming = await told('query', async () => preview(query))
        return { words: cronInWords(query.cron), timeZone: query.timeZone, upcoming }
      },
    }),

    route('POST /jobs/named/:name/schedules', {
      tag: 'schedules',
      summary: 'Make a schedule, or change one',
      description:
        'What is left out has its default. What is due of a schedule whose times change is decided first, by what it was.',
      params: nameParams,
      body: z.strictObject({
        key: storableText({ max: MAX_KEY_LENGTH }).describe('At most 200 bytes'),
        cron: cronText,
        timeZone: timeZoneText,
        payload: z
          .record(z.string(), z.unknown())
          .optional()
          .describe('Of each of its runs. Left out: a change keeps the one that it has'),
        missed: z.enum(MISSED_POLICIES).optional(),
        overlap: z.enum(KEYED_OVERLAPS).optional(),
        catchUpMs: z.int().min(1).optional(),
        jitterMs: z.int().min(0).optional(),
        startsAt: instant.nullish(),
        endsAt: instant.nullish(),
        allowSeconds: z.boolean().optional(),
        ifVersion: z
          .int()
          .min(0)
          .max(2 ** 31 - 1)
          .describe('The version that it changes; 0 makes a new one'),
        reason: requestReason,
      }),
      answer: {
        200: z.object({
          kind: z.enum(['created', 'changed', 'unchanged']),
          version: z.int(),
          nextAt: z.iso.datetime().nullable(),
        }),
      },
      refuses: [404, 409],
      handle: async ({ params: { name }, body, by, logAct }) => {
        const job = findJob(jobs, name)
        const { payload, ...given } = body
        const keepsPayload = payload === undefined && body.ifVersion > 0
        const { nextAt, ...done } = await told('body', () =>
          schedules.upsert(null, job, { ...given, payload, keepsPayload, ...by } as never),
        ).catch((error: unknown) => {
          throw refuseChange(error)
        })
        logAct({ name, key: body.key, ...done }, 'schedule changed')
        return { ...done, nextAt: nextAt?.toISOString() ?? null }

        function refuseChange(error: unknown): unknown {
          if (!(error instanceof JobError)) return error
          if (error.code === 'too_many_schedules')
            return new Problem(409, { detail: error.message })
          if (error.code !== 'schedule_changed') return refusedPayload(`job ${job.name}`, error)
          const detail =
            body.ifVersion === 0
              ? `${name} has a schedule ${body.key} already`
              : 'Somebody has changed or deleted this schedule meanwhile: look at it again'
          return new Problem(409, { detail })
        }
      },
    }),

    route('POST /jobs/named/:name/schedules/:key/pause', {
      tag: 'schedules',
      summary: 'Pause one schedule',
      description: 'Until it is resumed, its ticks are recorded as skipped. Its runs go on.',
      params: keyParams,
      body: reasonBody,
      answer: { 204: z.null() },
      refuses: [404, 409],
      handle: async ({ params: { name, key }, by, logAct }) => {
        const outcome = await schedules.pause(null, { name }, key, by)
        if (outcome === 'notFound') throw refuseUnknownSchedule(key, name)
        if (outcome !== 'paused') throw await refusePause(reader, 'schedule', name, outcome, key)
        logAct({ name, key }, 'schedule paused')
        return null
      },
    }),

    route('POST /jobs/named/:name/schedules/:key/resume', {
      tag: 'schedules',
      summary: 'Resume one schedule',
      description: 'It goes on with its next tick. Ticks that were due meanwhile stay skipped.',
      params: keyParams,
      body: optionalReasonBody,
      answer: { 204: z.null() },
      refuses: [404, 409],
      handle: async ({ params: { name, key }, by, logAct }) => {
        const outcome = await schedules.resume(null, { name }, key, by)
        if (outcome === 'notFound') throw refuseUnknownSchedule(key, name)
        if (outcome !== 'resumed') throw await refusePause(reader, 'schedule', name, outcome, key)
        logAct({ name, key }, 'schedule resumed')
        return null
      },
    }),

    route('POST /jobs/named/:name/schedules/:key/trigger', {
      tag: 'schedules',
      summary: 'Request a run of one schedule now, beside its ticks',
      params: keyParams,
      body: reasonBody,
      answer: { 202: requestedSchema },
      refuses: [404],
      handle: async ({ params: { name, key }, by, logAct }) => {
        // With the definition, its label is the same as for any other run.
        const job = findJob(jobs, name)
        const outcome = await schedules.trigger(null, job, key, by)
        if (outcome.kind === 'notFound') throw refuseUnknownSchedule(key, name)
        const { workId } = outcome
        logAct({ name, key, workId }, 'schedule triggered')
        return { workId }
      },
    }),

    route('DELETE /jobs/named/:name/schedules/:key', {
      tag: 'schedules',
      summary: 'Delete a schedule',
      description: 'What is due of it is decided first. Its work, ticks and runs stay.',
      params: keyParams,
      body: reasonBody,
      answer: { 204: z.null().describe('The schedule is deleted') },
      refuses: [404],
      handle: async ({ params: { name, key }, by, logAct }) => {
        // With the definition, due work has the same label and key as any other; its job may have left the code.
        const job = jobs.find((one) => one.name === name) ?? { name }
        const outcome = await schedules.delete(null, job, key, by)
        if (outcome === 'notFound') throw refuseUnknownSchedule(key, name)
        logAct({ name, key }, 'schedule deleted')
        return null
      },
    }),
  ]

  /** Adds the outcome of the last tick to each. They belong to one job. */
  async function present(rows: readonly ListedSchedule[]): Promise<KeyedSchedule[]> {
    const [first] = rows
    if (first === undefined) return []
    const keys = rows.map(({ key }) => key)
    const ticks = await listRecentKeyedTicks(reader, { name: first.name, keys, limit: 1 })
    const lastOf = new Map(ticks.map((tick) => [tick.key, tick]))
    return rows.map(({ pausedAt, pausedBy, pauseReason, ...row }) => ({
      ...row,
      words: cronInWords(row.cron),
      paused: pausedAt === null ? null : { at: pausedAt, by: pausedBy, reason: pauseReason },
      lastTick: lastOf.get(row.key) ?? null,
    }))
  }

  function preview({ cron, timeZone, startsAt, endsAt }: PreviewedParts) {
    const of = { cron, timeZone, startsAt, endsAt, after: now(), count: PREVIEWED }
    return schedules.preview(of).map(({ at, ...shown }) => ({ at: at.toISOString(), ...shown }))
  }
}

type PreviewedParts = Omit<
  Parameters<AdminParts['client']['schedules']['preview']>[0],
  'after' | 'count'
>

/** Reports an error of the client's own checks at the part of the request that caused it. */
async function told<Value>(place: string, work: () => Promise<Value>): Promise<Value> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof ArgumentError)) throw error
    const message = error.message.slice(error.argument.length + 1)
    throw invalidRequest([{ path: `${place}.${error.argument}`, message }])
  }
}

function toDate(at: string | null): Date | null {
  return at === null ? null : new Date(at)
}
