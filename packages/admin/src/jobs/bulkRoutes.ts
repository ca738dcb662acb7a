import { BULK_KINDS } from '@roundsman/engine/internal'
import { getBulk, listBulks, type BulkRequest } from '@roundsman/engine/client'
import { z } from 'zod'
import { bulkSchema } from '../contract.ts'
import { route, type AdminParts, type Route } from '../route.ts'
import { Problem } from '../http/problem.ts'
import { checkSpans, MAX_DURATION_MS, runFilters } from './jobRunRoutes.ts'
import { instant, pageLimit, storableText } from '../http/fields.ts'
import { idParams, keyQuery, requestReason } from './requestParts.ts'

/** As many as a body has room for: it has at most 64 kB. */
const MAX_IDS = 1_000

const ofPieces = {
  name: storableText({ max: 100 }).optional().describe('Name of the job'),
  label: storableText({ max: 200 }).optional().describe('Only what has exactly this label'),
  labelPart: storableText({ max: 200 })
    .optional()
    .describe('Only what has a label that contains this, in upper or lower case'),
  key: keyQuery,
  shown: z
    .strictObject({
      field: storableText({ max: 200 }),
      value: storableText({ max: 10_000 }).nullable(),
    })
    .optional()
    .describe('Only what has this value in a field that its job shows; null: none'),
}

/** In a body a duration is a number. */
const durationMs = z.int().min(0).max(MAX_DURATION_MS).optional()

const body = z
  .strictObject({
    kind: z.enum(BULK_KINDS),
    all: z.literal(true).optional().describe('All of them, instead of ids or a filter'),
    ids: z
      .array(z.guid())
      .min(1)
      .max(MAX_IDS)
      .optional()
      .describe('The ids of the work, or with `cancel` of the runs'),
    ...ofPieces,
    errorCode: storableText({ max: 100 }).optional().describe('Only dead letters with this code'),
    runs: z
      .strictObject({ ...runFilters, minDurationMs: durationMs, maxDurationMs: durationMs })
      .superRefine(checkSpans)
      .optional()
      .describe(
        'With `cancel` the runs under way that match; else the dead letters to retry of which any run matches',
      ),
    startAfter: instant
      .optional()
      .describe(
        'With `postponeWork`: until when. Work that is due later stays as it is; an instant that is over makes all due now. When work expires does not change',
      ),
    priority: z.int32().optional().describe('With `prioritiseWork`'),
    reason: requestReason,
  })
  .superRefine((given, context) => {
    const { kind, all, ids, reason: _reason, startAfter, priority, ...filter } = given
    const say = (path: string, message: string) =>
      context.addIssue({ code: 'custom', path: [path], message })
    const named = Object.entries(filter).filter(([, value]) => value !== undefined)
    const isRuns = kind === 'cancel'
    for (const [key] of named) {
      if (ids !== undefined || all === true) say(key, 'does not go together with ids or all')
      else if (isRuns ? key !== 'runs' : key === 'runs' && kind !== 'redrive')
        say(key, `does not go together with ${kind}`)
      else if (key === 'errorCode' && kind !== 'redrive' && kind !== 'discard')
        say(key, 'is of dead letters alone')
    }
    if (ids !== undefined && all === true) say('all', 'does not go together with ids')
    if (ids === undefined && all === undefined && named.length === 0)
      say('ids', 'is missing: give ids, a filter, or all: true')
    if ((kind === 'postponeWork') !== (startAfter !== undefined))
      say('startAfter', 'goes with postponeWork, which needs it')
    if ((kind === 'prioritiseWork') !== (priority !== undefined))
      say('priority', 'goes with prioritiseWork, which needs it')
  })

const unknownAct = () => new Problem(404, { detail: 'There is no such act, or not any more' })

/** Acts on many. The server carries it on, whoever leaves. */
export function bulkRoutes({ client, jobs }: AdminParts): Route[] {
  return [
    route('POST /jobs/bulk', {
      summary: 'Do something to all waiting work, dead letters or runs under way that match',
      description:
        'Takes all that match at this moment, up to a million, and leaves alone what comes later. The answer comes after the first thousand; the server goes on with the rest: GET /api/jobs/bulk/:id tells how far it is. It is one line in the record.',
      body,
      answer: { 200: bulkSchema },
      handle: async ({ body: given, by, logAct }) => {
        const { kind, all, ids, reason: _reason, startAfter, priority, ...filter } = given
        const matching = kind === 'cancel' ? filter.runs : filter
        const act = await client.startBulk({
          kind,
          which: all ? 'all' : ids === undefined ? matching : { ids },
          ...(startAfter !== undefined && { startAfter }),
          ...(priority !== undefined && { priority }),
          ...(kind === 'redrive' && { jobs }),
          ...by,
        } as BulkRequest)
        const { id, matched } = act
        logAct({ bulkId: id, kind, matched }, 'bulk act started')
        return act
      },
    }),

    route('GET /jobs/bulk', {
      summary: 'List acts on many, the latest first',
      query: z.strictObject({
        isOpen: z.literal('true').optional().describe('Only what goes on'),
        limit: pageLimit(20),
      }),
      answer: { 200: z.object({ acts: z.array(bulkSchema) }) },
      handle: async ({ query: { isOpen, limit } }) => ({
        acts: await listBulks(client.reader, { limit, isOpen: isOpen === 'true' }),
      }),
    }),

    route('GET /jobs/bulk/:id', {
      summary: 'Tell how far one of them is',
      params: idParams,
      answer: { 200: bulkSchema },
      refuses: [404],
      handle: async ({ params: { id } }) => {
        const act = await getBulk(client.reader, id)
        if (act === null) throw unknownAct()
        return act
      },
    }),

    route('POST /jobs/bulk/:id/stop', {
      summary: 'Stop one of them',
      description: 'What it has done stays done. It answers as before when it had ended.',
      params: idParams,
      answer: { 200: bulkSchema },
      refuses: [404],
      handle: async ({ params: { id }, by, logAct }) => {
        const found = await client.stopBulk(id, by)
        const act = await getBulk(client.reader, id)
        if (act === null) throw unknownAct()
        if (found === 'stopped') logAct({ bulkId: id }, 'bulk act stopped')
        return act
      },
    }),
  ]
}
