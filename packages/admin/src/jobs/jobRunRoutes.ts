import {
  JOB_TRIGGERS,
  countEqualFailures,
  findWorkOfRun,
  hideMessages,
  listOtherAttempts,
  listRunActions,
  listRunWaits,
  MAX_LOOKED_AT,
  readRunLinks,
  RUN_OUTCOMES,
  RUN_STATUSES,
} from '@roundsman/engine/internal'
import { getJobRun, listJobRuns, listSchedules, type ListedJobRun } from '@roundsman/engine/client'
import { z } from 'zod'
import type { Access } from '../access.ts'
import { route, type AdminParts, type Route } from '../route.ts'
import { formatCursor, nextPageCursor, pageCursor } from '../http/pageCursor.ts'
import {
  earlierSchema,
  runDetailSchema,
  runSchema,
  type BatchMark,
  type KeptLog,
} from '../contract.ts'
import { differsFromSuccess } from './differsFromSuccess.ts'
import { readProgress } from './readProgress.ts'
import { refuseRun, tellEarlier } from './refuse.ts'
import { instant, pageLimit, storableText, wholeNumber } from '../http/fields.ts'
import { idParams, reasonBody } from './requestParts.ts'

/** The largest distance between any two instants that a request may name. */
export const MAX_DURATION_MS = 999_999_999_999

const durationMs = wholeNumber(0, MAX_DURATION_MS)

/** The filters of the list and of the CSV. */
export const runFilters = {
  name: storableText({ max: 100 }).optional().describe('Name of the job'),
  status: z.enum(RUN_STATUSES).optional(),
  outcome: z
    .enum(RUN_OUTCOMES)
    .optional()
    .describe(
      'How the run ended. It splits the status failed by cause: here `failed` means that the handler failed or timed out',
    ),
  errorCode: storableText({ max: 100 })
    .optional()
    .describe('Runs that failed with this error code'),
  trigger: z.enum(JOB_TRIGGERS).optional(),
  workId: z.guid().optional().describe('The id of the work: all attempts at it'),
  from: instant.optional().describe('Runs that started at this instant or later'),
  to: instant.optional().describe('Runs that started before this instant'),
  label: storableText({ max: 200 })
    .optional()
    .describe(
      'Runs with this label, when any run has exactly this one. Else runs whose label contains it, in upper or lower case; no index serves that, so pages may be short (see nextCursor)',
    ),
  worker: storableText({ max: 200 })
    .optional()
    .describe(
      'Runs of workers whose id begins with this. No index serves it, so pages may be short (see nextCursor)',
    ),
  minDurationMs: durationMs
    .optional()
    .describe(
      'Runs that took this long or longer, or have by now. No index serves it, so pages may be short (see nextCursor)',
    ),
  maxDurationMs: durationMs
    .optional()
    .describe(
      'Runs that have ended and took no longer than this. No index serves it, so pages may be short (see nextCursor)',
    ),
  key: storableText({ min: 0, max: 200 })
    .optional()
    .describe(
      'Runs of work with this key, by which its job divides it; empty: without one. No index serves it, so pages may be short (see nextCursor)',
    ),
}

interface Spans {
  from?: Date | undefined
  to?: Date | undefined
  minDurationMs?: number | undefined
  maxDurationMs?: number | undefined
}

/** Refuses spans that are always empty. */
export function checkSpans(
  { from, to, minDurationMs = 0, maxDurationMs = Infinity }: Spans,
  context: z.core.$RefinementCtx,
): void {
  const say = (path: string, message: string) =>
    context.addIssue({ code: 'custom', path: [path], message })
  if (from && to && from >= to) say('to', 'has to be later than from')
  if (minDurationMs > maxDurationMs) say('maxDurationMs', 'must not be less than minDurationMs')
}

const listQuery = z
  .strictObject({ limit: pageLimit(50), cursor: pageCursor, ...runFilters })
  .superRefine(checkSpans)

/** The years that ISO 8601 writes with four digits. */
const MAX_DATE_MS = 62_000_000_000_000

/** Shows the records of the workers, and marks runs for them: nothing here starts, ends or records a run. */
export function jobRunRoutes({ client }: AdminParts): Route[] {
  const { reader } = client
  return [
    route('GET /jobs/runs', {
      summary: 'List job runs, newest first',
      query: listQuery,
      answer: {
        200: z.object({
          runs: z.array(runSchema),
          nextCursor: nextPageCursor.describe(
            `Pass it as cursor to get the next page; null on the last page. Filters by worker, duration or part of a label look through ${MAX_LOOKED_AT.toLocaleString('en')} runs for each page, so a page may have fewer runs than asked for, or none, and still not be the last`,
          ),
          lookedBackTo: z.iso
            .datetime()
            .optional()
            .describe(
              'The start of the oldest run that was looked through. Left out when all were',
            ),
        }),
      },
      handle: async ({ query: { cursor, ...filters }, access }) => {
        const { runs, next, isCut } = await listJobRuns(reader, { ...filters, after: cursor })
        return {
          runs: runs.map((run) => present(run, access)),
          nextCursor: next && formatCursor(next),
          ...(isCut && next && { lookedBackTo: next.at }),
        }
      },
    }),

    route('GET /jobs/runs/:id', {
      summary: 'Show a job run',
      params: idParams,
      answer: { 200: runDetailSchema },
      refuses: [404],
      handle: async ({ params: { id }, access }) => {
        const run = await getJobRun(reader, id)
        if (!run) throw await refuseRun(reader, id, 'notFound')
        const [attempts, actions, work, equalFailures, lastSuccess, links, waits, schedules] =
          await Promise.all([
            listOtherAttempts(reader, run),
            listRunActions(reader, run),
            findWorkOfRun(reader, run),
            countEqualFailures(reader, run),
            differsFromSuccess(reader, run),
            readRunLinks(reader, run),
            run.status === 'running' ? listRunWaits(reader, run.workerId) : [],
            run.scheduledFor === null ? null : listSchedules(reader, [run.name]),
          ])
        return {
          ...present(run, access),
          enqueuedAt: work.enqueuedAt,
          attempts,
          batchMarks: readBatchMarks(run.batchMarks),
          actions,
          logs: readLogs(run.logs),
          equalFailures,
          lastSuccess,
          work,
          links,
          waits,
          timeZone: schedules?.get(run.name)?.timeZone ?? null,
        }
      },
    }),

    route('POST /jobs/runs/:id/cancel', {
      summary: 'Cancel a run under way',
      description:
        'The run’s signal aborts within a second, and the run ends as failed with code cancelled. Asking again changes nothing.',
      params: idParams,
      body: reasonBody,
      answer: {
        202: z.object({
          id: z.guid(),
          status: z.literal('requested'),
          earlier: earlierSchema.describe(
            'Who had asked it to stop before; left out when nobody else had',
          ),
        }),
      },
      refuses: [404, 409],
      handle: async ({ params: { id }, by, logAct }) => {
        const outcome = await client.cancelRun(id, by)
        if (outcome !== 'requested') throw await refuseRun(reader, id, outcome)
        const first = await getJobRun(reader, id)
        const isFirst = (first?.cancelRequestedBy ?? by.actor) === by.actor
        const earlier = isFirst
          ? undefined
          : (await listRunActions(reader, { id, workId: null })).find(
              ({ action }) => action === 'cancel',
            )
        logAct({ runId: id }, 'job run cancellation requested')
        return { id, status: outcome, ...tellEarlier(earlier ?? null) }
      },
    }),

    route('POST /jobs/runs/:id/approve', {
      summary: 'Approve a run that its guard blocked',
      description:
        'Possible once, within a day after the run ended. It requests a new run that may change as many rows as the guard counted, and no more.',
      params: idParams,
      body: reasonBody,
      answer: {
        202: z.object({
          workId: z.guid().describe('The id of the new work; its runs have it as workId'),
          rows: z.int().describe('How many rows the new run may change'),
        }),
      },
      refuses: [404, 409],
      handle: async ({ params: { id }, by, logAct }) => {
        const outcome = await client.approveRun(id, by)
        if (outcome.kind !== 'approved') throw await refuseRun(reader, id, outcome.kind)
        const { workId, rows } = outcome
        logAct({ runId: id, workId, rows }, 'job run approved')
        return { workId, rows }
      },
    }),
  ]
}

function present<Listed extends ListedJobRun>(run: Listed, access: Access) {
  const { startedAt, endedAt, progress } = run
  return Object.assign(hideMessages(run, { messages: access.payloads }), {
    durationMs: endedAt === null ? null : Date.parse(endedAt) - Date.parse(startedAt),
    progress: readProgress(progress),
  })
}

const keptLine = z.object({
  at: z.number().min(-MAX_DATE_MS).max(MAX_DATE_MS),
  level: z.string(),
  message: z.string(),
  fields: z.string().optional(),
})
const keptLog = z.object({ lines: z.array(z.unknown()), earlier: z.int() })

/** Leaves out unreadable lines. */
function readLogs(kept: unknown): KeptLog | null {
  const log = keptLog.safeParse(kept).data
  if (log === undefined) return null
  const lines = log.lines.flatMap((entry) => {
    const line = keptLine.safeParse(entry).data
    if (line === undefined) return []
    const { at, fields = null, ...rest } = line
    return [{ ...rest, at: new Date(at).toISOString(), fields }]
  })
  return { lines, earlier: log.earlier }
}

/** The engine's format. Marks of version 0.2 have their counts beside `at` and `batches`. */
const keptMark = z
  .object({
    at: z.int().min(-MAX_DATE_MS).max(MAX_DATE_MS),
    batches: z.int(),
    counts: z.union([z.looseObject({}), z.number()]).optional(),
  })
  .catchall(z.unknown())

/** The commits of a run's batches, in their order. Leaves out unreadable marks. */
function readBatchMarks(kept: unknown): BatchMark[] {
  if (!Array.isArray(kept)) return []
  return kept.flatMap((entry) => {
    const mark = keptMark.safeParse(entry).data
    if (mark === undefined) return []
    const { at, batches, ...rest } = mark
    const counted = typeof rest.counts === 'object' ? rest.counts : rest
    const counts = Object.entries(counted).flatMap(([name, value]) =>
      typeof value === 'number' ? [[name, value] as const] : [],
    )
    return [{ at: new Date(at).toISOString(), batches, counts: Object.fromEntries(counts) }]
  })
}
