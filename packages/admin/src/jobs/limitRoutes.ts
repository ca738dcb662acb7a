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
  .describe('false: ends the wait for a service that has refused more')
const limitBody = z.strictObject({
  global: most.optional().describe('Runs at once over all workers; null: the limit in the code'),
  parked,
  reason: requestReason,
})
const setSchema = z.object({ outcome: z.enum(['set', 'unchanged']) })
const answer = { 200: setSchema }
const key = storableText({ min: 0, max: 200 })

/** Routes for limits over all workers, and for the partition keys of jobs. */
export function limitRoutes({ client }: AdminParts): Route[] {
  return [
    route('GET /jobs/limits', {
      summary: 'List the limits over all workers, with the runs that hold their slots',
      query: z.strictObject({}),
      answer: { 200: limitsSchema },
      handle: async () => ({ limits: await client.limits.list() }),
    }),

    route('POST /jobs/limits/:name', {
      summary: 'Set how many runs at once a shared limit allows, or whether it waits for a service',
      params: nameParams,
      body: limitBody,
      answer,
      refuses: [404],
      handle: (request) => setLimit(request, { limit: { name: request.params.name } }),
    }),

    route('POST /jobs/named/:name/limit', {
      summary:
        'Set how many runs of a job at once over all workers, or whether it waits for a service',
      description:
        'Runs under way continue: if more run than the new limit, nothing starts until enough have ended.',
      params: nameParams,
      body: limitBody,
      answer,
      refuses: [404],
      handle: (request) => setLimit(request, { job: { name: request.params.name } }),
    }),

    route('GET /jobs/named/:name/keys', {
      summary: 'List the keys of a job, those with the most waiting work first',
      description:
        'Counts the first 100,000 pieces that wait, and the latest 10,000 runs of the last hour.',
      params: nameParams,
      query: z.strictObject({
        key: key.optional(),
        order: z
          .enum(KEY_SORTS)
          .optional()
          .describe(
            'The key with the most comes first, or with `oldest` the key that has waited longest. Default: `waiting`',
          ),
        limit: pageLimit(50),
      }),
      answer: { 200: keysSchema },
      handle: ({ params: { name }, query }) => client.keys.list({ name }, query),
    }),

    route('GET /jobs/named/:name/key', {
      summary: 'Show one key of a job',
      params: nameParams,
      query: z.strictObject({ key }),
      answer: { 200: keySchema },
      handle: ({ params: { name }, query }) => client.keys.get({ name }, query.key),
    }),

    route('POST /jobs/named/:name/keys', {
      summary: 'Pause or limit one key of a job',
      description: 'Settings that are left out do not change; null removes one.',
      params: nameParams,
      body: z.strictObject({
        key,
        perKey: most.optional().describe('Runs of this key at once; null: the limit in the code'),
        paused: z
          .union([z.boolean(), instant])
          .optional()
          .describe(
            'true: nothing of it starts until it is false; an instant: nothing before then',
          ),
        parked,
        reason: requestReason,
      }),
      answer,
      refuses: [404],
      handle: async ({ params: { name }, body, by, logAct }) => {
        const { key: of, reason: _reason, ...given } = body
        // JSON has no undefined: an omitted setting is missing.
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
    // JSON has no undefined: an omitted setting is missing.
    const outcome = await client.limits.set(which, given as LimitSettings, by)
    if (outcome === 'notFound')
      throw new Problem(404, { detail: 'No worker has registered this limit' })
    logAct({ ...which, ...given }, 'limit set')
    return { outcome }
  }
}
