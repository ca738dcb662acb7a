import {
  countLettersOfRuns,
  findDeadLetterName,
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
import { pageLimit } from '../http/pageLimit.ts'
import { Problem, problemResponses } from '../http/problem.ts'
import { keyQuery, readShownQuery, shownQuery } from './shownQuery.ts'
import { refuseDeadLetter, refuseUnknownJob } from './refuse.ts'
import { optionalReasonBody, reasonOf, requestReason } from './requestReason.ts'
import { checkSpans, runFilters } from './jobRunRoutes.ts'
import { storableText } from '../http/storableText.ts'

const jobName = storableText({ max: 100 }).describe('Name of the job')
const filters = {
  name: jobName.optional(),
  errorCode: storableText({ max: 100 }).optional().describe('The error code of the last attempt'),
}
/** Which are listed and counted. */
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
const idParams = z.strictObject({ workId: z.guid() })
const evenIfWorkersDied = z
  .boolean()
  .optional()
  .describe(
    'Retry also what two or more workers have died of, or beside: it may end another one. Default: false',
  )

/** Dead letters: work that was given up and waits until somebody retries or discards it. */
export function deadLetterRoutes({ client, jobs }: AdminParts): Route[] {
  return [
    route({
      method: 'GET',
      path: '/jobs/dead-letters',
      may: 'view',
      schema: {
        tags: ['jobs'],
        summary: 'List dead letters, the latest first',
        querystring: z.strictObject({ ...queryFilters, limit: pageLimit(50), cursor: pageCursor }),
        response: {
          200: z.object({ deadLetters: z.array(deadLetterSchema), nextCursor: nextPageCursor }),
          ...problemResponses(400, 401, 403),
        },
      },
      handle: async ({ query: { cursor, limit, ...query } }) => {
        const { deadLetters, next } = await listDeadLetters(client.reader, {
          ...readFilters(query),
          limit,
          after: cursor,
        })
        return {
          deadLetters,
          nextCursor: next && formatCursor(next),
        }
      },
    }),

    route({
      method: 'GET',
      path: '/jobs/dead-letters/causes',
      may: 'view',
      schema: {
        tags: ['jobs'],
        summary: 'List the error codes of dead letters, the most frequent first',
        description: `Counts the latest ${MAX_COUNTED_LETTERS.toLocaleString('en')} dead letters and lists at most 50 codes.`,
        querystring: z.strictObject(queryFilters),
        response: {
          200: z.object({ causes: z.array(deadLetterCauseSchema) }),
          ...problemResponses(400, 401, 403),
        },
      },
      handle: async ({ query }) => ({
        causes: await listDeadLetterCodes(client.reader, readFilters(query)),
      }),
    }),

    route({
      method: 'GET',
      path: '/jobs/dead-letters/groups',
      may: 'view',
      schema: {
        tags: ['jobs'],
        summary: 'Group dead letters by key, by label and by what their jobs show',
        querystring: z.strictObject(queryFilters),
        response: { 200: groupsSchema, ...problemResponses(400, 401, 403) },
      },
      handle: async ({ query }) => await groupDeadLetters(client.reader, readFilters(query)),
    }),

    route({
      method: 'GET',
      path: '/jobs/runs/dead-letters',
      may: 'view',
      schema: {
        tags: ['jobs'],
        summary: 'Count the dead letters of the runs that match',
        description:
          'Counts dead letters with at least one attempt that matches the filters: those that an act on many with the filters as `runs` would retry.',
        querystring: z.strictObject(runFilters).superRefine(checkSpans),
        response: {
          200: z.object({
            count: z.int(),
            isCut: z
              .boolean()
              .describe(
                'Whether there may be more: only the latest 10,000 dead letters are counted',
              ),
          }),
          ...problemResponses(400, 401, 403),
        },
      },
      handle: ({ query }) => countLettersOfRuns(client.reader, query),
    }),

    route({
      method: 'POST',
      path: '/jobs/dead-letters/:workId/redrive',
      may: 'act',
      schema: {
        tags: ['jobs'],
        summary: 'Retry a dead letter: give it back to the queue',
        description:
          'The work gets as many attempts as new work. What two or more workers have died of is refused with 409 and the code ended_workers, unless evenIfWorkersDied.',
        params: idParams,
        body: z.strictObject({ reason: requestReason, evenIfWorkersDied }),
        response: {
          200: z.object({ redriven: z.literal(1) }),
          ...problemResponses(400, 401, 403, 404, 409, 413, 415),
        },
      },
      handle: async ({
        params: { workId },
        body: { reason, evenIfWorkersDied: even },
        log,
        access: { actor, userId },
      }) => {
        const name = await findDeadLetterName(client.reader, workId)
        if (name === null) throw await refuseDeadLetter(client.reader, workId)
        const job = jobs.find((candidate) => candidate.name === name)
        if (!job) throw refuseUnknownJob(name)
        const by = { actor, reason, jobs: [job], evenIfWorkersDied: even }
        const outcome = await client.redriveDeadLetters({ ids: [workId] }, by)
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
        // Somebody else was faster.
        if (outcome.redriven === 0) throw await refuseDeadLetter(client.reader, workId)
        log.info({ name, workId, redriven: 1, userId }, 'dead letters retried')
        return { redriven: 1 as const }
      },
    }),

    route({
      method: 'DELETE',
      path: '/jobs/dead-letters/:workId',
      may: 'act',
      schema: {
        tags: ['jobs'],
        summary: 'Discard a dead letter',
        description: 'This cannot be undone. The records of its runs stay.',
        params: idParams,
        body: optionalReasonBody,
        response: {
          204: z.null().describe('The dead letter is removed'),
          ...problemResponses(400, 401, 403, 404, 413, 415),
        },
      },
      handle: async ({ params: { workId }, body, log, access: { actor, userId } }) => {
        const by = { actor, ...reasonOf(body) }
        const { discarded } = await client.discardDeadLetters({ ids: [workId] }, by)
        if (discarded === 0) throw await refuseDeadLetter(client.reader, workId)
        log.info({ workId, userId }, 'dead letter discarded')
        return null
      },
    }),
  ]
}
