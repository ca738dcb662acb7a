import type { KeySettings, LimitSettings, WhichLimit } from '@roundsman/engine/client'
import { KEY_SORTS } from '@roundsman/engine/internal'
import { z } from 'zod'
import { keySchema, keysSchema, limitsSchema } from '../contract.ts'
import { Problem } from '../http/problem.ts'
import { route, type AdminParts, type ActRequest, type Route } from '../route.ts'
import { instant, pageLimit, storableText } from '../http/fields.ts'
import { nameParams, requestReason } from './requestParts.ts'

const most = z.int().min(1).max(1_000_000).nullable()
const parked = z
  .literal(false)
  .optional()
  .describe('false: it waits no longer for a service that has refused more')
const limitBody = z.strictObject({
  global: most.optional().describe('Runs at once over all workers; null: as the code says'),
  parked,
  reason: requestReason,
})
const setSchema = z.object({ outcome: z.enum(['set', 'unchanged']) })
const answer = { 200: setSchema }
const key = storableText({ min: 0, max: 200 })

/** What people see and set of limits over all workers, and of the keys by which jobs divide their work. */
export function limitRoutes({ client }: AdminParts): Route[] {
  return [
    route('GET /jobs/limits', {
      summary: 'List the limits over all workers, with the runs that hold their slots',
      query: z.strictObject({}),
      answer: { 200: limitsSchema },
      handle: async () => ({ limits: await client.limits.list() }),
    }),

    route('POST /jobs/limits/:name', {
      summary:
        'Set how many runs a shared limit lets go on at once, or whether it waits for a service',
      params: nameParams,
      body: limitBody,
      answer,
      refuses: [404],
      handle: (request) => setLimit(request, { limit: { name: request.params.name } }),
    }),

    route('POST /jobs/named/:name/limit', {
      summary:
        'Set how many runs of a job go on at once over all workers, or whether it waits for a service',
      description:
        'Runs under way go on: lowered below their number, nothing starts until enough have ended.',
      params: nameParams,
      body: limitBody,
      answer,
      refuses: [404],
      handle: (request) => setLimit(request, { job: { name: request.params.name } }),
    }),

    route('GET /jobs/named/:name/keys', {
      summary: 'List the keys of a job, those with most that waits first',
      description:
        'Of what waits the first 100,000 pieces are counted, and of the runs that started within the last hour the latest 10,000.',
      params: nameParams,
      query: z.strictObject({
        key: key.optional(),
        order: z
          .enum(KEY_SORTS)
          .optional()
          .describe(
            'What has most of it comes first, or with `oldest` what waits for longest. Default: `waiting`',
          ),
        limit: pageLimit(50),
      }),
      answer: { 200: keysSchema },
      handle: ({ params: { name }, query }) => client.keys.list({ name }, query),
    }),

    route('GET /jobs/named/:name/key', {
      summary: 'Tell what there is to say of one key of a job',
      params: nameParams,
      query: z.strictObject({ key }),
      answer: { 200: keySchema },
      handle: ({ params: { name }, query }) => client.keys.get({ name }, query.key),
    }),

    route('POST /jobs/named/:name/keys', {
      summary: 'Set what counts for one key of a job',
      description: 'What is left out stays as it is; null takes it back.',
      params: nameParams,
      body: z.strictObject({
        key,
        perKey: most.optional().describe('Runs of this key at once; null: as the job says'),
        paused: z
          .union([z.boolean(), instant])
          .optional()
          .describe(
            'true: nothing of it starts until somebody says false; an instant: nothing before then',
          ),
        parked,
        reason: requestReason,
      }),
      answer,
      refuses: [404],
      handle: async ({ params: { name }, body, by, logAct }) => {
        const { key: of, reason: _reason, ...given } = body
        // JSON has no undefined: what is left out is missing.
        const outcome = await client.keys.set({ name }, of, given as KeySettings, by)
        if (outcome === 'noKeys')
          throw new Problem(404, { detail: `No worker has registered keys of ${name}` })
        logAct({ name, key: of }, 'key of a job set')
        return { outcome }
      },
    }),
  ]

  async function setLimit(
    { body, by, logAct }: ActRequest<z.output<typeof limitBody>>,
    which: WhichLimit,
  ) {
    const { reason: _reason, ...given } = body
    // JSON has no undefined: what is left out is missing.
    const outcome = await client.limits.set(which, given as LimitSettings, by)
    if (outcome === 'notFound')
      throw new Problem(404, { detail: 'No worker has registered this limit' })
    logAct({ ...which, ...given }, 'limit set')
    return { outcome }
  }
}
