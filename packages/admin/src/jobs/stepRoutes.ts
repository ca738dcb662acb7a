import type { ListedStep } from '@roundsman/engine/client'
import { listRunActions } from '@roundsman/engine/internal'
import { z } from 'zod'
import { workStepsSchema, type WorkStep } from '../contract.ts'
import { storableText } from '../http/fields.ts'
import { Problem } from '../http/problem.ts'
import { route, type AdminParts, type Route } from '../route.ts'
import { tellEarlier } from './refuse.ts'
import { requestReason, workParams } from './requestParts.ts'

/** How a request names a step. */
export const stepFields = {
  step: storableText({ max: 200 }).describe('The name of the step'),
  item: storableText({ min: 0, max: 200 })
    .optional()
    .describe('Its item, where it is called more than once'),
}

/** Longer results are not shown: a piece of work may have a thousand. */
const MAX_SHOWN_LENGTH = 1_000

/** The steps of durable work, and a person's answer where an effect may have happened. */
export function stepRoutes({ client, jobs }: AdminParts): Route[] {
  return [
    route('GET /jobs/work/:workId/steps', {
      summary: 'List the steps of a piece of work, over all its runs',
      description:
        'Results and messages of errors are shown to those for whom `authorize` says `payloads: true`.',
      params: workParams,
      answer: { 200: workStepsSchema },
      refuses: [404],
      handle: async ({ params: { workId }, access: { payloads = false } }) => {
        const [found, steps] = await Promise.all([client.explain(workId), client.steps(workId)])
        if (found === null)
          throw new Problem(404, { detail: `There is no record of work ${workId}` })
        const job = jobs.find(({ name }) => name === found.name)
        const answers = await readAnswers(workId)
        return {
          names: Object.keys(job?.steps ?? {}),
          steps: steps.map((step) => describeStep(step, answers, payloads)),
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
        const { step, item = '', happened, result } = body
        const which = { workId, step, item }
        const outcome = await client.answerDoubt(which, {
          ...by,
          happened,
          ...(happened && { result }),
        })
        if (outcome === 'notInDoubt') {
          const steps = await client.steps(workId)
          const found = steps.find((one) => one.name === step && one.item === item)
          if (found === undefined)
            throw new Problem(404, {
              detail: `Work ${workId} has no such step ${step}, or not yet`,
            })
          const answered = answerOf(await readAnswers(workId), found)
          throw new Problem(409, {
            detail:
              found.state === 'inDoubt'
                ? 'A run of the work is under way: answer once it has ended'
                : `Nobody has to answer for step ${step}: it is not in doubt`,
            extensions: tellEarlier(answered && { action: 'answerDoubt', ...answered }),
          })
        }
        logAct({ ...which, happened }, 'doubt answered')
        return { answered: true as const }
      },
    }),
  ]

  async function readAnswers(workId: string) {
    const actions = await listRunActions(client.reader, { id: workId, workId })
    return actions.filter(({ action }) => action === 'answerDoubt')
  }
}

type Answers = Awaited<ReturnType<typeof listRunActions>>

/** The last answer about a step. Its record begins with the step and the answer, before the reason. */
function answerOf(answers: Answers, { name, item }: Pick<ListedStep, 'name' | 'item'>) {
  const about = `${name}${item && ` ${item}`}: it `
  const last = answers.findLast(({ reason }) => reason?.startsWith(about))
  if (last === undefined) return null
  const [said = '', ...why] = (last.reason ?? '').slice(about.length).split('; ')
  const { at, actor } = last
  return { at, actor, reason: why.join('; ') || null, happened: said === 'did happen' }
}

function describeStep(step: ListedStep, answers: Answers, payloads: boolean): WorkStep {
  const { failures, error, result, ...facts } = step
  const isCall = facts.kind === 'run' || facts.kind === 'tx'
  const isEnded = facts.state === 'done' || facts.state === 'inDoubt'
  const isCut = (JSON.stringify(result) ?? '').length > MAX_SHOWN_LENGTH
  return {
    ...facts,
    attempts: isCall ? failures + (isEnded ? 1 : 0) : 0,
    error: error && { code: error.code, message: payloads ? error.message : null },
    result: payloads && !isCut ? result : null,
    isResultCut: payloads && isCut,
    answered: answerOf(answers, step),
  }
}
