import { randomUUID } from 'node:crypto'
import { defineSignal } from '@roundsman/engine'
import type { ListedStep } from '@roundsman/engine/client'
import {
  CHILD_STATES,
  findSignal,
  listChildren,
  namesOfStep,
  stepResultProblem,
} from '@roundsman/engine/internal'
import { z } from 'zod'
import { stepChildrenSchema, workStepsSchema, type WorkStep } from '../contract.ts'
import { pageLimit, storableText, wholeNumber } from '../http/fields.ts'
import { Problem } from '../http/problem.ts'
import { route, type AdminParts, type Route } from '../route.ts'
import { refusedPayload } from './jobRoutes.ts'
import { refuseUnknownJob, tellEarlier } from './refuse.ts'
import { requestReason, workParams } from './requestParts.ts'

/** The name of a step in a request. */
export const stepFields = {
  step: storableText({ max: 200 }).describe('The name of the step'),
  item: storableText({ min: 0, max: 200 })
    .optional()
    .describe('Its item, where it is called more than once'),
}

const signalName = storableText({ max: 100 })
  .regex(/^[a-z][A-Za-z0-9]*$/, 'is not the name of a signal: a camelCase identifier')
  .describe('Name of the signal')
const signalText = storableText({ max: 200 }).refine(
  (text) => Buffer.byteLength(text) <= 200,
  'has more than 200 bytes',
)

/** Routes for the steps of durable work, their children, signals, and a person's answer about an effect in doubt. */
export function stepRoutes({ client, jobs }: AdminParts): Route[] {
  return [
    route('GET /jobs/work/:workId/steps', {
      summary: 'List the steps of a piece of work, over all its runs',
      description:
        'Messages of errors are shown to those for whom `authorize` says `payloads: true`. A route of its own shows a result.',
      params: workParams,
      answer: { 200: workStepsSchema },
      refuses: [404],
      handle: async ({ params: { workId }, access: { payloads = false } }) => {
        const [found, steps] = await Promise.all([client.explain(workId), client.steps(workId)])
        if (found === null)
          throw new Problem(404, { detail: `There is no record of work ${workId}` })
        const job = jobs.find(({ name }) => name === found.name)
        return {
          state: found.state,
          names: Object.keys(job?.steps ?? {}),
          steps: steps.map((step) => describeStep(step, payloads)),
        }
      },
    }),

    route('POST /jobs/work/:workId/steps/answer', {
      summary: 'Say whether the effect of a step in doubt has happened',
      description:
        'If it has, `result` becomes the result of the step. If it has not, the step is called again. The work continues at once.',
      params: workParams,
      body: z.strictObject({
        ...stepFields,
        happened: z.boolean(),
        result: z
          .unknown()
          .optional()
          .describe('What the handler gets as the result of the step. Default: null'),
        reason: requestReason,
      }),
      answer: { 200: z.object({ answered: z.literal(true) }) },
      refuses: [404, 409],
      handle: async ({ params: { workId }, body, by, logAct }) => {
        const { step, item = '', happened, result = null } = body
        const which = { workId, step, item }
        const work = await client.explain(workId)
        const name = work?.name ?? null
        const job = jobs.find((one) => one.name === name)
        if (name !== null && job === undefined) throw refuseUnknownJob(name)
        const problem = happened ? stepResultProblem(job, step, result) : null
        if (problem !== null)
          throw new Problem(400, {
            detail: `The schema of step ${step} refuses its result: ${problem}`,
          })
        const outcome = await client.answerDoubt(
          { ...which, job },
          {
            ...by,
            happened,
            ...(happened && { result }),
          },
        )
        if (outcome === 'notInDoubt') {
          const steps = await client.steps(workId)
          const names = namesOfStep(job, step)
          const found = steps.find((one) => names.includes(one.name) && one.item === item)
          if (found === undefined)
            throw new Problem(404, {
              detail: `Work ${workId} has no such step ${step}, or not yet`,
            })
          throw new Problem(409, {
            detail:
              found.state === 'inDoubt'
                ? 'A run of the work is under way: answer once it has ended'
                : `Nobody has to answer for step ${step}: it is not in doubt`,
            extensions: tellEarlier(earlierOf(found)),
          })
        }
        logAct({ ...which, happened }, 'doubt answered')
        return { answered: true as const }
      },
    }),

    route('GET /jobs/work/:workId/steps/children', {
      summary: 'List the pieces of work that a step has enqueued and waits for, in their order',
      params: workParams,
      query: z.strictObject({
        ...stepFields,
        state: z
          .enum(CHILD_STATES)
          .optional()
          .describe('`left`: it has not ended. `failed`: for good. Default: any'),
        limit: pageLimit(50),
        cursor: wholeNumber(0, 10_000).optional(),
      }),
      answer: { 200: stepChildrenSchema },
      refuses: [404],
      handle: async ({ params: { workId }, query }) => {
        const { step, item = '', state, limit, cursor } = query
        const found = (await client.steps(workId)).find(
          (one) => one.name === step && one.item === item,
        )
        if (found?.children == null)
          throw new Problem(404, { detail: `Work ${workId} has no step ${step} with children` })
        const of = { workId, step, item, state, limit: limit + 1, after: cursor }
        const children = await listChildren(client.reader, of)
        const page = children.slice(0, limit)
        const isLast = children.length <= limit
        return {
          ...found.children,
          children: page,
          nextCursor: isLast ? null : String(page.at(-1)?.at),
        }
      },
    }),

    route('POST /jobs/signals', {
      summary: 'Send a signal by hand',
      description:
        'It ends one wait with its name and key, the oldest, also one that begins within 30 days. Where a step of a job declares the signal, its schema checks the payload.',
      body: z.strictObject({
        signal: signalName,
        key: signalText.describe('Which wait it is for, such as the id of an order'),
        id: signalText
          .optional()
          .describe('A second signal with this id changes nothing. Default: one of its own'),
        payload: z.unknown().optional().describe('Anything but null. Default: `{}`'),
        reason: requestReason,
      }),
      answer: {
        200: z.object({
          outcome: z
            .enum(['stored', 'duplicate'])
            .describe('`duplicate`: one with this id was sent within 30 days'),
          id: z.string(),
        }),
      },
      handle: async ({ body, by, logAct }) => {
        const { signal: name, key, id = randomUUID(), payload } = body
        const signal = findSignal(jobs, name) ?? defineSignal({ name })
        const outcome = await client
          .signalNow(signal, { key, id, payload, ...by })
          .catch((error: unknown) => {
            throw refusedPayload(`signal ${name}`, error)
          })
        logAct({ signal: name, key, id, outcome }, 'signal sent')
        return { outcome, id }
      },
    }),
  ]
}

/** Who has ended the doubt about a step before. */
function earlierOf({ answer }: ListedStep) {
  if (answer === null || answer.actor === null || answer.happened === null) return null
  const { at, actor, reason } = answer
  return { action: 'answerDoubt', at, actor, reason }
}

function describeStep(step: ListedStep, payloads: boolean): WorkStep {
  const { failures, error, result, ...facts } = step
  const isCall = facts.kind === 'run' || facts.kind === 'tx'
  const isEnded = facts.state === 'done' || facts.state === 'inDoubt'
  return {
    ...facts,
    attempts: isCall ? failures + (isEnded ? 1 : 0) : 0,
    error: error && { code: error.code, message: payloads ? error.message : null },
    hasResult: result !== null,
  }
}
