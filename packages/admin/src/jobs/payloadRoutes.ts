import type { WhosePayload, WhoseResult } from '@roundsman/engine/client'
import { z } from 'zod'
import { heldPayloadSchema } from '../contract.ts'
import { route, type AdminParts, type ActRequest, type Route } from '../route.ts'
import { refusePayload } from './refuse.ts'
import { idParams, workParams } from './requestParts.ts'
import { stepFields } from './stepRoutes.ts'

const described = {
  may: 'payloads',
  description:
    'For whom `authorize` says `payloads: true`. Each look is recorded as an action of the job, with who looked and when.',
  answer: { 200: heldPayloadSchema },
  refuses: [404, 409],
} as const

/** Shows payloads to people who may see them. A look is recorded, so it is not a GET, which browsers send by themselves. */
export function payloadRoutes({ client, jobs }: AdminParts): Route[] {
  return [
    route('POST /jobs/runs/:id/payload', {
      ...described,
      summary: 'Show the payload of a run',
      params: idParams,
      handle: ({ params: { id }, ...request }) => look({ runId: id }, request),
    }),

    route('POST /jobs/work/:workId/payload', {
      ...described,
      summary: 'Show the payload of work that waits or is a dead letter',
      params: workParams,
      handle: ({ params: { workId }, ...request }) => look({ workId }, request),
    }),

    route('POST /jobs/work/:workId/steps/payload', {
      ...described,
      summary:
        'Show what a step has got: its result, the payload of a signal, or the result of a child',
      params: workParams,
      body: z.strictObject(stepFields),
      handle: ({ params: { workId }, body, ...request }) => look({ workId, ...body }, request),
    }),
  ]

  async function look(
    whose: WhosePayload | WhoseResult,
    { by, logAct }: Omit<ActRequest<unknown>, 'body'>,
  ) {
    const outcome = await client.showPayload(whose, { ...by, jobs })
    if (outcome.kind !== 'shown') throw refusePayload(outcome)
    logAct({ ...whose }, 'payload shown')
    return { payload: outcome.payload }
  }
}
