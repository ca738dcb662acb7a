import {
  countLettersOfRuns,
  findDeadLetterName,
  findStepsDoneAgain,
  groupDeadLetters,
  listDeadLetterCodes,
  MAX_COUNTED_LETTERS,
  type DeadLetterFilter,
} from '@roundsman/engine/internal'
import { listDeadLetters } from '@roundsman/engine/client'
import { z } from 'zod'
import { deadLetterCauseSchema, deadLetterSchema, groupsSchema } from '../contract.ts'
import { route, type AdminParts, type Route } from '../route.ts'
import { formatCursor, nextPageCursor, pageCursor } from '../http/pageCursor.ts'
import { Problem } from '../http/problem.ts'
import { refuseDeadLetter, refuseUnknownJob } from './refuse.ts'
import { checkSpans, runFilters } from './jobRunRoutes.ts'
import { stepFields } from './stepRoutes.ts'
import { pageLimit, storableText } from '../http/fields.ts'
import {
  jobName,
  keyQuery,
  optionalReasonBody,
  requestReason,
  workParams,
  readShownQuery,
  shownQuery,
} from './requestParts.ts'

const filters = {
  name: jobName.optional(),
  errorCode: storableText({ max: 100 }).optional().describe('The error code of the last attempt'),
}
/** The filters of lists and counts. */
const queryFilters = {
  ...filters,
  label: storableText({ max: 200 }).optional().describe('Only what has exactly this label'),
  key: keyQuery,
  ...shownQuery,
}
const readFilters = ({
  field,
  value,
  ...filter
}: z.output<z.ZodObject<typeof queryFilters>>): DeadLetterFilter => ({
  ...filter,
  ...readShownQuery({ field, value }),
})
const evenIfWorkersDied = z
  .boolean()
  .optional()
  .describe(
    'Retry also what two or more workers have died of, or beside: it may end another one. Default: false',
  )

const from = z
  .union([z.enum(['failure', 'beginning']), z.strictObject(stepFields)])
  .optional()
  .describe(
    'Which steps of durable work are done again. `failure`, the default: the one that failed. `beginning`: all. A step: it and those that ended after it. With the last two, what is done again gets other keys',
  )

/** Routes of dead letters: work that was given up, until a person retries or discards it. */
export function deadLetterRoutes({ client, jobs }: AdminParts): Route[] {
  return [
    route('GET /jobs/dead-letters', {
      summary: 'List dead letters, the latest first',
      query: z.strictObject({ ...queryFilters, limit: pageLimit(50), cursor: pageCursor }),
      answer: {
        200: z.object({ deadLetters: z.array(deadLetterSchema), nextCursor: nextPageCursor }),
      },
      handle: async ({ query: { cursor, limit, ...query }, access: { payloads = false } }) => {
        const { deadLetters, next } = await listDeadLetters(client.reader, {
          ...readFilters(query),
          limit,
          after: cursor,
        })
        return {
          deadLetters: deadLetters.map((letter) => ({
            ...letter,
            error: { ...letter.error, ...(!payloads && { message: null }) },
          })),
          nextCursor: next && formatCursor(next),
        }
      },
    }),

    route('GET /jobs/dead-letters/causes', {
      summary: 'List the error codes of dead letters, the most frequent first',
      description: `Counts the latest ${MAX_COUNTED_LETTERS.toLocaleString('en')} dead letters and lists at most 50 codes.`,
      query: z.strictObject(queryFilters),
      answer: { 200: z.object({ causes: z.array(deadLetterCauseSchema) }) },
      handle: async ({ query }) => ({
        causes: await listDeadLetterCodes(client.reader, readFilters(query)),
      }),
    }),

    route('GET /jobs/dead-letters/groups', {
      summary: 'Group dead letters by key, by label and by what their jobs show',
      query: z.strictObject(queryFilters),
      answer: { 200: groupsSchema },
      handle: async ({ query }) => await groupDeadLetters(client.reader, readFilters(query)),
    }),

    route('GET /jobs/runs/dead-letters', {
      summary: 'Count the dead letters of the runs that match',
      description:
        'Counts dead letters with at least one attempt that matches the filters: those that an act on many with the filters as `runs` would retry.',
      query: z.strictObject(runFilters).superRefine(checkSpans),
      answer: {
        200: z.object({
          count: z.int(),
          isCut: z
            .boolean()
            .describe('Whether there may be more: only the latest 10,000 dead letters are counted'),
        }),
      },
      handle: ({ query }) => countLettersOfRuns(client.reader, query),
    }),

    route('POST /jobs/dead-letters/:workId/redrive', {
      summary: 'Retry a dead letter: give it back to the queue',
      description:
        'The work gets as many attempts as new work. What two or more workers have died of is refused with 409 and the code ended_workers, unless evenIfWorkersDied.',
      params: workParams,
      body: z.strictObject({ reason: requestReason, evenIfWorkersDied, from }),
      answer: {
        200: z.object({
          redriven: z.literal(1),
          again: z
            .array(z.object({ name: z.string(), item: z.string() }))
            .describe('The steps that had ended and will be done again'),
          unawaited: z
            .literal(true)
            .optional()
            .describe('The parent of this work has gone on: no step of it gets the result'),
        }),
      },
      refuses: [404, 409],
      handle: async ({ params: { workId }, body, by, logAct }) => {
        const name = await findDeadLetterName(client.reader, workId)
        if (name === null) throw await refuseDeadLetter(client.reader, workId)
        const job = jobs.find((candidate) => candidate.name === name)
        if (!job) throw refuseUnknownJob(name)
        const before = await client.steps(workId)
        const request = { ...by, jobs: [job], ...body }
        const outcome = await client.redriveDeadLetters({ ids: [workId] }, request)
        if (outcome.withoutStep && typeof body.from === 'object')
          throw new Problem(409, { detail: `No step ${body.from.step} of this work has ended` })
        if (outcome.alreadyQueued > 0) {
          throw new Problem(409, {
            detail:
              'Other work with the same unique key waits or runs: retry this dead letter later, or discard it',
          })
        }
        if (outcome.endedWorkers > 0) {
          throw new Problem(409, {
            detail:
              'Two or more workers have died while they ran this work, and it may end another: retry it with evenIfWorkersDied, or discard it',
            extensions: { code: 'ended_workers' },
          })
        }
        // Another person was faster.
        if (outcome.redriven === 0) throw await refuseDeadLetter(client.reader, workId)
        logAct({ name, workId, redriven: 1 }, 'dead letters retried')
        const again = findStepsDoneAgain(before, await client.steps(workId))
        return {
          redriven: 1 as const,
          again,
          ...(outcome.unawaited && { unawaited: true as const }),
        }
      },
    }),

    route('DELETE /jobs/dead-letters/:workId', {
      summary: 'Discard a dead letter',
      description: 'This cannot be undone. The records of its runs stay.',
      params: workParams,
      body: optionalReasonBody,
      answer: { 204: z.null().describe('The dead letter is removed') },
      refuses: [404],
      handle: async ({ params: { workId }, by, logAct }) => {
        const { discarded } = await client.discardDeadLetters({ ids: [workId] }, by)
        if (discarded === 0) throw await refuseDeadLetter(client.reader, workId)
        logAct({ workId }, 'dead letter discarded')
        return null
      },
    }),
  ]
}
