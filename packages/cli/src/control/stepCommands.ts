import { findStepsDoneAgain, stepResultProblem } from '@roundsman/engine/internal'
import type { ListedStep, RedriveRequest } from '@roundsman/engine/client'
import { currentUser } from '../command/currentUser.ts'
import { describeDuration } from '../command/describeDuration.ts'
import { describeInstant } from '../command/describeInstant.ts'
import { layOutRows, onOneLine, standardLayout } from '../command/layout.ts'
import { requireReason } from '../command/parseOptions.ts'
import { print } from '../command/print.ts'
import { withClient, type ProductSource } from '../command/product.ts'
import { ForeseenError, UsageError, type Terminal } from '../command/runCommand.ts'
import { told } from '../command/told.ts'
import { UUID } from '../runs/pages.ts'

/*
 * What commands say and do about the steps of durable work.
 */

interface Values {
  step?: string | undefined
  item?: string | undefined
  happened?: boolean | undefined
  absent?: boolean | undefined
  result?: string | undefined
  from?: string | undefined
  'even-if-workers-died'?: boolean | undefined
  reason?: string | undefined
  messages?: boolean | undefined
  json?: boolean | undefined
}

interface Call {
  values: Values
  terminal: Terminal
  source: ProductSource
}

const nameOf = ({ name, item }: Pick<ListedStep, 'name' | 'item'>) =>
  onOneLine(item === '' ? name : `${name} ${item}`)

function requireId(workId: string | undefined): string {
  if (workId !== undefined && UUID.test(workId)) return workId
  throw new UsageError('Which piece of work? Give its id')
}

/** Lists the steps of a piece of work over all its runs. */
export async function listWorkSteps(id: string | undefined, { values, terminal, source }: Call) {
  const workId = requireId(id)
  const product = await source.open(terminal)
  const { found, steps } = await withClient(product, async (client) => ({
    found: await client.explain(workId),
    steps: await client.steps(workId),
  }))
  if (found === null) throw new ForeseenError(`There is no record of work ${workId}.`)
  const shown = values.messages ? steps : steps.map(withoutContents)
  if (values.json) return print(terminal, { workId, name: found.name, steps: shown })
  const layout = standardLayout(terminal.stdout)
  const defined = Object.keys(product.jobs.find(({ name }) => name === found.name)?.steps ?? {})
  const done = new Set(steps.filter(({ state }) => state === 'done').map(({ name }) => name))
  const head = [
    found.name,
    steps.length === 0
      ? 'no step yet'
      : `${defined.filter((name) => done.has(name)).length} of ${defined.length} steps done`,
  ]
  const rows = shown.map((step) => ({
    cells: [step.state, nameOf(step), describeInstant(step.startedAt), notesOn(step).join(', ')],
    style: STYLES[step.state],
  }))
  return print(terminal, [told(...head).join('  '), ...layOutRows(rows, layout)])
}

type ShownStep = Omit<ListedStep, 'result' | 'error'> & {
  result?: ListedStep['result']
  error: { code: string; message?: string } | null
}

const withoutContents = ({ result: _result, error, ...step }: ListedStep): ShownStep => ({
  ...step,
  error: error && { code: error.code },
})

const STYLES = {
  done: undefined,
  failed: 'red',
  waiting: 'dim',
  inDoubt: 'yellow',
  retrying: 'yellow',
} as const

function notesOn(step: ShownStep): string[] {
  const { state, kind, startedAt, endedAt, until, signal, key, failures, error, result } = step
  const { answer, children } = step
  return told(
    endedAt !== null && describeDuration(Date.parse(endedAt) - Date.parse(startedAt)),
    signal !== null && onOneLine(`for the signal ${signal} of ${key}`),
    state === 'waiting' && until !== null && `until ${describeInstant(until)}`,
    children !== null &&
      `${children.count} of ${children.job}, ${children.left} left, ${children.failed} failed`,
    answer !== null && onOneLine(describeAnswer(answer)),
    state === 'inDoubt' && 'may have happened: work answer says which',
    kind === 'tx' && 'in a transaction',
    failures > 0 && `${failures} failed`,
    error && onOneLine(told(error.code, error.message).join(': ')),
    result != null && onOneLine(JSON.stringify(result)).slice(0, 200),
  )
}

function describeAnswer({ actor, reason, happened }: NonNullable<ListedStep['answer']>): string {
  const who = actor ?? 'code'
  const said =
    happened === null
      ? `sent by ${who}`
      : `${who} said that it ${happened ? 'did' : 'did not'} happen`
  return reason === null ? said : `${said}: ${reason}`
}

/** Takes a person's answer to whether the effect of a step has happened. */
export async function answerForStep(id: string | undefined, { values, terminal, source }: Call) {
  const workId = requireId(id)
  const { step, item, happened = false, absent = false, json } = values
  if (step === undefined) throw new UsageError('--step is missing: which step is in doubt?')
  if (happened === absent) throw new UsageError('Give exactly one of --happened and --absent')
  if (absent && values.result !== undefined)
    throw new UsageError('--result is for --happened alone')
  const request = {
    ...{ actor: currentUser(), reason: requireReason(values.reason), happened },
    ...(values.result !== undefined && { result: parseJson('--result', values.result) }),
  }
  const which = { workId, step, ...(item !== undefined && { item }) }
  const product = await source.open(terminal)
  const outcome = await withClient(product, async (client) => {
    const work = await client.explain(workId)
    const job = product.jobs.find(({ name }) => name === work?.name)
    const problem = happened ? stepResultProblem(job, step, request.result ?? null) : null
    if (problem !== null)
      throw new ForeseenError(`--result: the schema of step ${step} refuses it: ${problem}`)
    return await client.answerDoubt({ ...which, job }, request)
  })
  const isDone = outcome === 'answered'
  if (json) return print(terminal, { ...which, outcome }, isDone ? 0 : 1)
  if (!isDone)
    throw new ForeseenError(
      `Step ${step} of work ${workId} is not in doubt, or a run of the work is under way.`,
    )
  const next = happened ? 'does not call it again' : 'calls it again'
  return print(terminal, [`The work continues, and ${next}.`])
}

export function parseJson(option: string, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new UsageError(`${option} is not JSON: "${text}"`)
  }
}

/** Gives a dead letter back to the queue, and says which steps will be done again. */
export async function retryDeadLetter(id: string | undefined, { values, terminal, source }: Call) {
  const workId = requireId(id)
  const reason = requireReason(values.reason)
  const from = readFrom(values)
  const product = await source.open(terminal)
  const { outcome, again } = await withClient(product, async (client) => {
    const before = await client.steps(workId)
    const redriven = await client.redriveDeadLetters(
      { ids: [workId] },
      {
        ...{ actor: currentUser(), reason, from, jobs: product.jobs },
        evenIfWorkersDied: values['even-if-workers-died'],
      },
    )
    return { outcome: redriven, again: findStepsDoneAgain(before, await client.steps(workId)) }
  })
  if (outcome.withoutStep && typeof from === 'object')
    throw new ForeseenError(`No step ${from.step} of work ${workId} has ended.`)
  const { left: _left, ...counts } = outcome
  if (values.json) return print(terminal, { workId, ...counts, again }, outcome.redriven ? 0 : 1)
  if (outcome.redriven === 0) throw new ForeseenError(describeRefusal(workId, outcome))
  const keys = from === 'failure' ? 'the same keys' : 'other keys'
  return print(terminal, [
    `Work ${workId} is back in the queue.`,
    ...(again.length === 0 ? [] : [`Done again, with ${keys}: ${again.map(nameOf).join(', ')}.`]),
    ...(outcome.unawaited ? ['Its parent has gone on: no step of it gets the result.'] : []),
  ])
}

function readFrom({ from = 'failure', item }: Values) {
  if (from === 'failure' || from === 'beginning') {
    if (item !== undefined) throw new UsageError('--item is for --from STEP alone')
    return from
  }
  return { step: from, item: item ?? '' } satisfies RedriveRequest['from']
}

function describeRefusal(
  workId: string,
  stay: Record<'alreadyQueued' | 'endedWorkers' | 'unknown', number>,
) {
  if (stay.alreadyQueued > 0)
    return 'Other work with its unique key waits or runs: retry it when that has ended.'
  if (stay.endedWorkers > 0)
    return 'Two or more workers have died while they ran it, and it may end another: --even-if-workers-died retries it nevertheless.'
  if (stay.unknown > 0) return 'No worker would take it: its job is not in the catalogue.'
  return `There is no dead letter ${workId}.`
}
