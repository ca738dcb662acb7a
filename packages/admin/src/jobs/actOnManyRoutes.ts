import { MANY_KINDS } from '@roundsman/engine/internal'
import type { ActOnManyRequest } from '@roundsman/engine/client'
import { z } from 'zod'
import { actedSchema } from '../contract.ts'
import { route, type AdminParts, type Route } from '../route.ts'
import { checkSpans, MAX_DURATION_MS, runFilters } from './jobRunRoutes.ts'
import { instant, storableText } from '../http/fields.ts'
import { keyQuery, requestReason } from './requestParts.ts'

/** Maximum of ids in a body, which has at most 64 kB. */
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
    kind: z.enum(MANY_KINDS),
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
        'With `postponeWork`: until when. Work that is due later does not change; an instant in the past makes all due now. Expiry times do not change',
      ),
    priority: z.int32().optional().describe('With `prioritiseWork`'),
    reason: requestReason,
    mark: z
      .string()
      .max(32_000)
      .optional()
      .describe('What the call before answered as `mark`; the first call has none'),
  })
  .superRefine((given, context) => {
    const { kind, all, ids, reason: _, mark: _mark, startAfter, priority, ...filter } = given
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

/** Acts on many. */
export function actOnManyRoutes({ client, jobs }: AdminParts): Route[] {
  return [
    route('POST /jobs/bulk', {
      summary: 'Do something to waiting work, dead letters or runs under way that match',
      description:
        'Acts on up to 1,000 in one transaction. Send it again with the `mark` of the answer until nothing is `left`. The first call fixes what the act is about; further calls leave alone what came later or has changed since. Each call is on record.',
      body,
      answer: { 200: actedSchema },
      handle: async ({ body: given, by, logAct }) => {
        const { kind, all, ids, reason: _, mark, startAfter, priority, ...filter } = given
        const matching = kind === 'cancel' ? filter.runs : filter
        const answer = await client.actOnMany({
          kind,
          which: all ? 'all' : ids === undefined ? matching : { ids },
          ...(startAfter !== undefined && { startAfter }),
          ...(priority !== undefined && { priority }),
          ...(kind === 'redrive' && { jobs }),
          ...(mark !== undefined && { mark }),
          ...by,
        } as ActOnManyRequest)
        const { done, left } = answer
        logAct({ kind, done, left }, 'acted on many')
        return answer
      },
    }),
  ]
}
