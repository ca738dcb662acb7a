import { listWaitingWork, type JobsReader, type WaitingWorkQuery } from '@roundsman/engine/client'
import {
  countWaitingWork,
  groupWaitingWork,
  sumWaitingWork,
  WORK_ORDERS,
} from '@roundsman/engine/internal'
import { z } from 'zod'
import { explanationSchema, groupsSchema, waitingWorkSchema } from '../contract.ts'
import { route, type AdminParts, type Route } from '../route.ts'
import { formatCursor, nextPageCursor, pageCursor } from '../http/pageCursor.ts'
import { Problem } from '../http/problem.ts'
import { refusePause } from './refuse.ts'
import { pageLimit, storableText } from '../http/fields.ts'
import {
  jobName,
  keyQuery,
  nameParams,
  optionalReasonBody,
  reasonBody,
  workParams,
  readShownQuery,
  shownQuery,
} from './requestParts.ts'

const filters = {
  name: jobName.optional(),
  label: storableText({ max: 200 })
    .optional()
    .describe(
      'Work with this label, when any that waits has exactly this one. Else work whose label contains it, in upper or lower case',
    ),
  key: keyQuery,
  ...shownQuery,
}

async function readFilters(
  reader: JobsReader,
  { name, label: its, key, ...query }: z.output<z.ZodObject<typeof filters>>,
): Promise<Omit<WaitingWorkQuery, 'limit' | 'after'>> {
  const isPart = its !== undefined && (await countWaitingWork(reader, { label: its })) === 0
  const ofLabel = isPart ? { labelPart: its } : { label: its }
  return { name, key, ...ofLabel, ...readShownQuery(query) }
}

/**
 * Routes for waiting work, and for the actions of people before a worker takes it. Also for jobs that have left the catalogue,
 * whose work no worker takes.
 */
export function workRoutes({ client, jobs }: AdminParts): Route[] {
  return [
    route('GET /jobs/work', {
      summary: 'List waiting work, in the order in which it starts',
      description: 'Payloads are not shown. Work that waits for a retry is listed as well.',
      query: z.strictObject({
        ...filters,
        order: z
          .enum(WORK_ORDERS)
          .optional()
          .describe('`first`, the default: what starts first. `last`: what is due last'),
        limit: pageLimit(50),
        cursor: pageCursor,
      }),
      answer: {
        200: z.object({
          work: z.array(waitingWorkSchema),
          total: z.int().describe('How many match on all pages, up to 100,000'),
          isTotalCut: z.boolean().describe('Whether more match'),
          isLabelPart: z
            .boolean()
            .describe('Whether these are those whose label contains the one asked for'),
          names: z
            .array(z.string())
            .describe('The jobs of all that match, also those that have left the catalogue'),
          nextCursor: nextPageCursor,
        }),
      },
      handle: async ({ query: { limit, cursor, order, ...query } }) => {
        const of = await readFilters(client.reader, query)
        const page = { ...of, limit, after: cursor, order }
        const { work, next } = await listWaitingWork(client.reader, page)
        const sum =
          next === null && cursor === undefined
            ? {
                count: work.length,
                isCut: false,
                names: [...new Set(work.map((each) => each.name))].toSorted(),
              }
            : await sumWaitingWork(client.reader, of)
        return {
          work,
          total: sum.count,
          isTotalCut: sum.isCut,
          isLabelPart: of.labelPart !== undefined,
          names: sum.names,
          nextCursor: next && formatCursor(next),
        }
      },
    }),

    route('GET /jobs/work/groups', {
      summary: 'Group waiting work by key, by label and by what its jobs show',
      query: z.strictObject(filters),
      answer: { 200: groupsSchema },
      handle: async ({ query }) =>
        await groupWaitingWork(client.reader, await readFilters(client.reader, query)),
    }),

    route('GET /jobs/work/:workId/explain', {
      summary: 'Explain why a piece of work waits, or what became of it',
      params: workParams,
      answer: { 200: explanationSchema },
      refuses: [404],
      handle: async ({ params: { workId } }) => {
        const found = await client.explain(workId)
        if (found !== null) return found
        throw new Problem(404, { detail: `There is no record of work ${workId}` })
      },
    }),

    route('POST /jobs/named/:name/queue/pause', {
      summary: 'Pause the queue of a job',
      description:
        'Until the queue is resumed, no worker takes work of the job. Runs under way continue, and so does the schedule, whose ticks wait in the queue. The job may be one that no worker has yet.',
      params: nameParams,
      body: reasonBody,
      answer: {
        200: z.object({
          name: z.string(),
          queuePaused: z.literal(true),
          pausing: z
            .literal(true)
            .optional()
            .describe(
              'A claim that began before has not finished within 5 s, and may still start work; left out when none has',
            ),
        }),
      },
      refuses: [409],
      handle: async ({ params: { name }, by, logAct }) => {
        const found = await client.pauseQueue(name, by)
        if (found === 'alreadyPaused') throw await refusePause(client.reader, 'queue', name, found)
        logAct({ name }, 'queue paused')
        const isPausing = found === 'pausing'
        return { name, queuePaused: true as const, ...(isPausing && { pausing: true as const }) }
      },
    }),

    route('POST /jobs/named/:name/queue/resume', {
      summary: 'Resume the queue of a job',
      description: 'Workers take the waiting work at once.',
      params: nameParams,
      body: optionalReasonBody,
      answer: { 200: z.object({ name: z.string(), queuePaused: z.literal(false) }) },
      refuses: [404, 409],
      handle: async ({ params: { name }, by, logAct }) => {
        const found = await client.resumeQueue(name, by)
        if (found === 'notFound') throw noQueue(name)
        if (found !== 'resumed') throw await refusePause(client.reader, 'queue', name, found)
        logAct({ name }, 'queue resumed')
        return { name, queuePaused: false as const }
      },
    }),
  ]

  function noQueue(name: string): Problem {
    const known = jobs.some((job) => job.name === name)
    const why = known
      ? 'no worker that has the job has started yet'
      : 'there is no job with this name'
    return new Problem(404, { detail: `${name} has no queue: ${why}` })
  }
}
