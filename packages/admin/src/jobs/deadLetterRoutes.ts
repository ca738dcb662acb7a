import {
  countLettersOfRuns,
  findDeadLetterName,
  groupDeadLetters,
  listDeadLetterCodes,
  MAX_COUNTED_LETTERS,
  type DeadLetterFilter,
  type BulkSelection,
} from '@roundsman/engine/internal'
import { listDeadLetters, type RedriveOutcome } from '@roundsman/engine/client'
import { z } from 'zod'
import {
  deadLetterCauseSchema,
  deadLetterSchema,
  earlierSchema,
  groupsSchema,
} from '../contract.ts'
import { route, type AdminParts, type Route, type RouteLog } from '../route.ts'
import { formatCursor, nextPageCursor, pageCursor } from '../http/pageCursor.ts'
import { pageLimit } from '../http/pageLimit.ts'
import { invalidRequest, Problem, problemResponses } from '../http/problem.ts'
import { readShownQuery, shownQuery } from './shownQuery.ts'
import { LETTER_GONE, refuseDeadLetter, refuseUnknownJob, tellEarlierOf } from './refuse.ts'
import { optionalReasonBody, reasonOf, requestReason } from './requestReason.ts'
import { checkSpans, runFilters } from './jobRunRoutes.ts'
import { bulkTargets, checkTargets, progressOf, readTargets } from './bulk.ts'
import { storableText } from '../http/storableText.ts'

const MAX_REDRIVEN = 1_000
/** What a request of many does at once, so that the console sees how it goes on. */
const LETTERS_AT_ONCE = 500

const inParts = (which: BulkSelection<DeadLetterFilter>) =>
  'ids' in which ? which : { ...which, limit: LETTERS_AT_ONCE }

const jobName = storableText({ max: 100 }).describe('Name of the job')
const filters = {
  name: jobName.optional(),
  errorCode: storableText({ max: 100 }).optional().describe('The error code of the last attempt'),
}
/** Which are listed and counted. */
const queryFilters = {
  ...filters,
  label: storableText({ max: 200 }).optional().describe('Only what has exactly this label'),
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
const redriven = z.object({
  redriven: z.int().describe('How many dead letters went back into the queue'),
  alreadyQueued: z
    .int()
    .optional()
    .describe(
      'How many stayed because other work with the same unique key waits or runs. Left out when none did',
    ),
  endedWorkers: z
    .int()
    .optional()
    .describe(
      'How many stayed because two or more workers have died while they ran them. Left out when none did',
    ),
  unknown: z
    .int()
    .optional()
    .describe(
      'How many stayed because their job is not in this product, or not any more. Left out when none did',
    ),
  ...progressOf(`dead letters match; up to ${MAX_COUNTED_LETTERS}`),
  earlier: earlierSchema.describe('Who was faster with one of `ids`, where none of them was left'),
})

const evenIfWorkersDied = z
  .boolean()
  .optional()
  .describe(
    'Retry also what two or more workers have died of, or beside: it may end another one. Default: false',
  )

/** Refuses more beside a `name` without `all`, which means what it did at first: all of a job, or its `workIds`. */
function checkJobAlone(
  body: Partial<Record<'ids' | 'cursor' | 'errorCode', unknown>>,
  context: z.core.$RefinementCtx,
): void {
  for (const key of ['ids', 'cursor', 'errorCode'] as const) {
    if (body[key] === undefined) continue
    context.addIssue({
      code: 'custom',
      path: [key],
      message: 'does not go together with name alone: give all: true as well',
    })
  }
}

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
        summary: 'Group dead letters by label and by what their jobs show',
        querystring: z.strictObject(queryFilters),
        response: { 200: groupsSchema, ...problemResponses(400, 401, 403) },
      },
      handle: async ({ query }) => await groupDeadLetters(client.reader, readFilters(query)),
    }),

    route({
      method: 'POST',
      path: '/jobs/dead-letters/redrive',
      may: 'act',
      schema: {
        tags: ['jobs'],
        summary: 'Retry dead letters: give them back to the queue',
        description:
          'Choose by `ids`, or by `all: true` with filters. With `all`, each request handles some hundreds: repeat it with the `nextCursor` of the answer until that is null. `name` alone chooses all dead letters of that job, or those in `workIds`, at most 10,000. A dead letter stays while other work has its unique key, and, without `evenIfWorkersDied`, when two or more workers have died while they ran it. Each one gets as many attempts as new work.',
        body: z
          .strictObject({
            ...bulkTargets(MAX_REDRIVEN),
            ...filters,
            workIds: z.array(z.guid()).min(1).max(MAX_REDRIVEN).optional(),
            reason: requestReason,
            evenIfWorkersDied,
          })
          .superRefine((body, context) => {
            if (body.all === undefined && body.name !== undefined) checkJobAlone(body, context)
            else checkTargets(body, context)
          }),
        response: { 200: redriven, ...problemResponses(400, 401, 403, 413, 415) },
      },
      handle: async (request) => {
        const { body, log } = request
        const { name = '', errorCode, workIds, reason, evenIfWorkersDied: even, ...targets } = body
        const { actor, userId } = request.access
        const which = readTargets(targets, { name: body.name, errorCode })
        if (which !== null) {
          const by = { actor, reason, jobs, evenIfWorkersDied: even }
          const outcome = await client.redriveDeadLetters(inParts(which), by)
          const earlier = await tellEarlierOf(
            client.reader,
            outcome.redriven + outcome.alreadyQueued + outcome.endedWorkers + outcome.unknown,
            { workIds: targets.ids },
            LETTER_GONE,
          )
          return { ...tellRedriven(request, outcome, userId), ...earlier }
        }
        const job = jobs.find((candidate) => candidate.name === name)
        if (!job) {
          const known = jobs.map((candidate) => candidate.name).join(', ')
          throw invalidRequest([{ path: 'body.name', message: `has to be one of: ${known}` }])
        }
        const by = { actor, reason, jobs: [job], evenIfWorkersDied: even }
        const {
          redriven: count,
          alreadyQueued,
          endedWorkers,
        } = await client.redriveDeadLetters(
          workIds === undefined ? { filter: { name } } : { ids: workIds },
          by,
        )
        const told = {
          redriven: count,
          ...(alreadyQueued > 0 && { alreadyQueued }),
          ...(endedWorkers > 0 && { endedWorkers }),
        }
        log.info({ name, ...told, userId }, 'dead letters retried')
        return told
      },
    }),

    route({
      method: 'GET',
      path: '/jobs/runs/dead-letters',
      may: 'view',
      schema: {
        tags: ['jobs'],
        summary: 'Count the dead letters of the runs that match',
        description:
          'Counts dead letters with at least one attempt that matches the filters: those that POST /api/jobs/runs/redrive would retry.',
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
      path: '/jobs/runs/redrive',
      may: 'act',
      schema: {
        tags: ['jobs'],
        summary: 'Retry the dead letters of the runs that match',
        description:
          'Retries dead letters with at least one attempt that matches the filters. Each request handles some hundreds: repeat it with the `nextCursor` of the answer until that is null. A dead letter stays while other work has its unique key, and, without `evenIfWorkersDied`, when two or more workers have died while they ran it. Each one gets as many attempts as new work.',
        body: z
          .strictObject({
            all: z.literal(true),
            ...runFilters,
            cursor: pageCursor.describe('The nextCursor of the request before'),
            reason: requestReason,
            evenIfWorkersDied,
          })
          .superRefine(checkSpans),
        response: { 200: redriven, ...problemResponses(400, 401, 403, 413, 415) },
      },
      handle: async (request) => {
        const { all: _, cursor, reason, evenIfWorkersDied: even, ...filter } = request.body
        const { actor, userId } = request.access
        const which = { runs: filter, after: cursor, limit: LETTERS_AT_ONCE }
        const by = { actor, reason, jobs, evenIfWorkersDied: even }
        const outcome = await client.redriveDeadLetters(which, by)
        return tellRedriven(request, outcome, userId)
      },
    }),

    route({
      method: 'POST',
      path: '/jobs/dead-letters/discard',
      may: 'act',
      schema: {
        tags: ['jobs'],
        summary: 'Discard dead letters',
        description:
          'This cannot be undone. Choose by `ids`, or by `all: true` with filters. With `all`, each request handles some hundreds: repeat it with the `nextCursor` of the answer until that is null. The records of their runs stay.',
        body: z
          .strictObject({ ...bulkTargets(MAX_REDRIVEN), ...filters, reason: requestReason })
          .superRefine(checkTargets),
        response: {
          200: z.object({
            discarded: z
              .int()
              .describe(
                'How many dead letters were removed; somebody else may have removed others',
              ),
            ...progressOf(`dead letters match; up to ${MAX_COUNTED_LETTERS}`),
            earlier: earlierSchema.describe(
              'Who was faster with one of `ids`, where none of them was left',
            ),
          }),
          ...problemResponses(400, 401, 403, 413, 415),
        },
      },
      handle: async (request) => {
        const {
          body: { name, errorCode, reason, ...targets },
          log,
        } = request
        const { actor, userId } = request.access
        const which = readTargets(targets, { name, errorCode }) ?? { ids: [] }
        const { next, ...outcome } = await client.discardDeadLetters(inParts(which), {
          actor,
          reason,
        })
        log.info({ name, ...outcome, userId }, 'dead letters discarded')
        const earlier = await tellEarlierOf(
          client.reader,
          outcome.discarded,
          { workIds: targets.ids },
          LETTER_GONE,
        )
        return { ...outcome, nextCursor: next && formatCursor(next), ...earlier }
      },
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
        response: { 200: redriven, ...problemResponses(400, 401, 403, 404, 409, 413, 415) },
      },
      handle: async (request) => {
        const {
          params: { workId },
          body: { reason, evenIfWorkersDied: even },
          log,
        } = request
        const { actor, userId } = request.access
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
        return { redriven: 1 }
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
      handle: async (request) => {
        const {
          params: { workId },
          body,
          log,
        } = request
        const { actor, userId } = request.access
        const by = { actor, ...reasonOf(body) }
        const { discarded } = await client.discardDeadLetters({ ids: [workId] }, by)
        if (discarded === 0) throw await refuseDeadLetter(client.reader, workId)
        log.info({ workId, userId }, 'dead letter discarded')
        return null
      },
    }),
  ]
}

function tellRedriven(
  { body, log }: { body: { name?: string | undefined }; log: RouteLog },
  { next, ...outcome }: RedriveOutcome,
  userId: string | undefined,
) {
  log.info({ name: body.name ?? '', ...outcome, userId }, 'dead letters retried')
  const { alreadyQueued, endedWorkers, unknown, ...done } = outcome
  return {
    ...done,
    ...(alreadyQueued > 0 && { alreadyQueued }),
    ...(endedWorkers > 0 && { endedWorkers }),
    ...(unknown > 0 && { unknown }),
    nextCursor: next && formatCursor(next),
  }
}
