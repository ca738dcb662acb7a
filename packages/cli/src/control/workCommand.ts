import { countWaitingWork, readPausedQueues } from '@roundsman/engine/internal'
import {
  listWaitingWork,
  type ActOnManyOutcome,
  type ActOnManyRequest,
  type JobsClient,
  type PassedReason,
  type WaitingWork,
  type WaitReason,
  type WhichWork,
} from '@roundsman/engine/client'
import { currentUser } from '../command/currentUser.ts'
import { describeInstant } from '../command/describeInstant.ts'
import { onOneLine, standardLayout, wrap, type Layout } from '../command/layout.ts'
import { parseDate } from '../command/parseInstant.ts'
import {
  parseAction,
  parseDurationMs,
  parseWholeNumber,
  requireReason,
} from '../command/parseOptions.ts'
import { print } from '../command/print.ts'
import { withClient, type ProductSource } from '../command/product.ts'
import { UsageError, type Command, type Terminal } from '../command/runCommand.ts'
import { describePause } from '../list/formatJobs.ts'
import { refuseUnknownJob } from '../command/unknownJob.ts'
import { told } from '../command/told.ts'
import { answerForStep, listWorkSteps } from './stepCommands.ts'
import { formatPosition, parsePosition, UUID } from '../runs/pages.ts'

const usage = (
  call: string,
) => `Usage: ${call} list [<job>] [--label TEXT] [--key KEY] [--limit N] [--after POSITION] [--json]
       ${call} explain <id> [--json]
       ${call} steps <id> [--messages] [--json]
       ${call} answer <id> --step NAME [--item ITEM] (--happened [--result JSON] | --absent) --reason TEXT [--json]
       ${call} cancel <job> (--id ID | --label TEXT | --key KEY | --all) --reason TEXT [--json]
       ${call} postpone <job> (--id ID | --label TEXT | --key KEY | --all) (--until DATE | --for DURATION | --now) --reason TEXT [--json]
       ${call} prioritise <job> (--id ID | --label TEXT | --key KEY | --all) --priority N --reason TEXT [--json]

list prints waiting work, retries included, in the order in which it starts. explain prints why a piece waits, or how it
ended. steps lists the steps of durable work over all its runs. answer records whether the effect of a step in doubt has
happened. The others change work before it starts: all that matches at that moment, a thousand pieces at a time. When
the command is interrupted, the rest does not change. Payloads are not shown. The person and the reason are recorded.

  --id ID            this piece of work; may be given several times
  --label TEXT       all work with this label
  --key KEY          all work with this partition key
  --all              all waiting work of the job
  --until DATE       the earliest start, in UTC unless it has an offset; work that is due later does not change
  --for DURATION     the earliest start, from now on: 90s, 15min, 2h, 3d
  --now              make it due now, retries and delayed work included
  --priority N       a whole number; workers take a higher one first. New work has 0
  --step NAME        the step in doubt; with --item ITEM if it is called more than once
  --happened         its effect has happened: the work continues with --result, or null
  --absent           its effect has not happened: the step is called again
  --messages         show results, and messages of errors, which may hold parts of a payload
  --reason TEXT      why, for the record
  --limit N          how many to list, 1 to 1000; default 20
  --after POSITION   continue after this position, which the previous page printed
  --json             print one JSON object

Exit code: 0 success, 1 the environment or the database needs attention, 2 usage`

const OPTIONS = {
  id: { type: 'string', multiple: true },
  label: { type: 'string' },
  key: { type: 'string' },
  all: { type: 'boolean' },
  until: { type: 'string' },
  for: { type: 'string' },
  now: { type: 'boolean' },
  priority: { type: 'string' },
  step: { type: 'string' },
  item: { type: 'string' },
  happened: { type: 'boolean' },
  absent: { type: 'boolean' },
  result: { type: 'string' },
  messages: { type: 'boolean' },
  reason: { type: 'string' },
  limit: { type: 'string' },
  after: { type: 'string' },
  json: { type: 'boolean' },
} as const

const CHANGE = ['id', 'label', 'key', 'all', 'reason', 'json'] as const
const OPTIONS_OF = {
  list: ['label', 'key', 'limit', 'after', 'json'],
  explain: ['json'],
  steps: ['messages', 'json'],
  answer: ['step', 'item', 'happened', 'absent', 'result', 'reason', 'json'],
  cancel: CHANGE,
  postpone: [...CHANGE, 'until', 'for', 'now'],
  prioritise: [...CHANGE, 'priority'],
} as const

type Values = ReturnType<typeof parseAction<typeof OPTIONS, string>>['values']
interface Call {
  values: Values
  terminal: Terminal
  source: ProductSource
}

export function createWorkCommand(source: ProductSource): Command {
  return {
    usage: usage(source.call),
    async run(args, terminal) {
      const { action, values, words } = parseAction(args, OPTIONS, OPTIONS_OF)
      const [name, ...rest] = words
      if (rest.length > 0)
        throw new UsageError(`One job at a time; "${rest.join(' ')}" is too much`)
      const call = { values, terminal, source }
      if (action === 'list') return await list(name, call)
      if (action === 'explain') return await explain(name, call)
      if (action === 'steps') return await listWorkSteps(name, call)
      if (action === 'answer') return await answerForStep(name, call)
      if (name === undefined) throw new UsageError('Which job? Give its name')
      return await change(action, name, call)
    },
  }
}

async function list(name: string | undefined, { values, terminal, source }: Call) {
  const { label, key } = values
  const limit = parseWholeNumber('--limit', values.limit, { min: 1, max: 1_000, otherwise: 20 })
  const after = parsePosition(values.after)
  const product = await source.open(terminal)
  const { page, total, pauses } = await withClient(product, async ({ reader }) => ({
    pauses: await readPausedQueues(reader),
    page: await listWaitingWork(reader, { name, label, key, limit, after }),
    total: await countWaitingWork(reader, { name, label, key }),
  }))
  const { work, next } = page
  const position = next && formatPosition(next)
  const names = new Set(work.map((one) => one.name))
  const paused = [...pauses.values()].filter((queue) => names.has(queue.name))
  // A job that has left the catalogue may still have work.
  if (work.length === 0 && name !== undefined) refuseUnknownJob(name, product)
  if (values.json) return print(terminal, { work, total, next: position, pausedQueues: paused })
  const layout = standardLayout(terminal.stdout)
  const isNarrowed = [name, label, key, after].some((one) => one !== undefined)
  const none = isNarrowed ? 'No waiting work matches.' : 'Nothing waits.'
  const lines = work.length === 0 ? [none] : formatWork(work, pauses, layout)
  if (position !== null) {
    lines.push('', layout.paint('dim', `${work.length} of ${total}. More: --after ${position}`))
  }
  for (const { name: of, pausedAt: at, pausedBy: by, pauseReason } of paused) {
    const note = `The queue of ${of} is paused ${describePause({ at, by, reason: pauseReason })}`
    lines.push('', layout.paint('yellow', wrap(onOneLine(note), layout.width)))
  }
  return print(terminal, lines)
}

async function explain(workId: string | undefined, { values, terminal, source }: Call) {
  if (workId === undefined || !UUID.test(workId))
    throw new UsageError('Which piece of work? Give its id')
  const product = await source.open(terminal)
  const found = await withClient(product, (client) => client.explain(workId))
  if (values.json) return print(terminal, found, found === null ? 1 : 0)
  if (found === null) {
    terminal.stderr.write(`There is no record of work ${workId}.\n`)
    return 1
  }
  const layout = standardLayout(terminal.stdout)
  const { name, label, state, text, reasons } = found
  const since = found.since === null ? '' : describeInstant(found.since)
  const head = [name, label === null ? '' : onOneLine(label)].filter(Boolean).join('  ')
  const next = reasons.length === 0 ? 'A worker takes it next.' : 'It waits because:'
  const lines = [
    ...(head === '' ? [] : [wrap(head, layout.width)]),
    state === 'waiting'
      ? `Waits, enqueued ${since}. ${next}`
      : wrap(onOneLine([text, since].filter(Boolean).join(', ')), layout.width),
    ...reasons.flatMap((reason) => formatReason(reason, layout)),
  ]
  return print(terminal, lines)
}

/** The reason why a piece of work waits, and below it the runs that hold what it needs. */
function formatReason(reason: WaitReason, { width, paint }: Layout): string[] {
  const { text, since, until, runs } = reason
  const said = told(
    text,
    since && `since ${describeInstant(since)}`,
    until && `until ${describeInstant(until)}`,
  )
  return [
    `  ${wrap(onOneLine(said.join(', ')), width - 2, 2)}`,
    ...runs.map(({ runId, workerId, startedAt }) =>
      paint('dim', `    run ${runId} since ${describeInstant(startedAt)} in ${workerId}`),
    ),
  ]
}

/** Two lines for each piece: when it is due, and its id. */
function formatWork(
  work: readonly WaitingWork[],
  pauses: ReadonlyMap<string, unknown>,
  { width, paint }: Layout,
): string[] {
  return work.flatMap((one) => {
    const { workId, name, label, key, startAfter, isDue, attempts, priority, expiresAt } = one
    // Work that waits for a person or for other work has the last possible date.
    const due =
      startAfter >= '9999' ? 'when a step ends   ' : startAfter.slice(0, 19).replace('T', ' ')
    const head = `${due}  ${!isDue ? 'not yet' : pauses.has(name) ? 'paused ' : 'due    '}  ${name}`
    const notes = told(
      attempts > 0 && `${attempts} tried`,
      key !== null && key !== '' && `key ${onOneLine(key)}`,
      priority !== 0 && `priority ${priority}`,
      one.hasUniqueKey && 'unique key',
      expiresAt !== null && `expires ${expiresAt.slice(0, 19).replace('T', ' ')}`,
    )
    return [
      isDue ? head : paint('dim', head),
      paint('dim', `  ${told(workId, notes.join(', ')).join('  ')}`),
      ...(label === null ? [] : [`  ${wrap(onOneLine(label), width - 2, 2)}`]),
    ]
  })
}

async function change(
  action: Exclude<keyof typeof OPTIONS_OF, 'list' | 'explain' | 'steps' | 'answer'>,
  name: string,
  { values, terminal, source }: Call,
) {
  const which = readWhich(name, values)
  const reason = requireReason(values.reason)
  const startAfter = action === 'postpone' ? readStart(values) : new Date(0)
  const priority = action === 'prioritise' ? readPriority(values.priority) : 0
  const product = await source.open(terminal)
  const by = { actor: currentUser(), reason }
  const did = { cancel: 'cancelled', postpone: 'postponed', prioritise: 'given another priority' }
  if (which.ids !== undefined) {
    const { done, left } = await withClient(product, async (client) => {
      switch (action) {
        case 'cancel':
          return await client.cancelWork(which, by)
        case 'postpone':
          return await client.postponeWork(which, { ...by, startAfter })
        case 'prioritise':
          return await client.prioritiseWork(which, { ...by, priority })
        default:
          return action satisfies never
      }
    })
    if (values.json) return print(terminal, { name, done, left })
    if (done === 0 && left === 0) refuseUnknownJob(name, product)
    const rest =
      left === 0 ? '' : `; ${left} left, because somebody else was changing them: run this again`
    return print(terminal, [`${done} of ${name} ${did[action]}${rest}.`])
  }
  const request: ActOnManyRequest = {
    ...by,
    which: { name, label: which.label, key: which.key },
    ...(action === 'cancel'
      ? { kind: 'cancelWork' }
      : action === 'postpone'
        ? { kind: 'postponeWork', startAfter }
        : { kind: 'prioritiseWork', priority }),
  }
  const { done, passed } = await withClient(product, (client) =>
    carryOut(client, request, terminal),
  )
  if (values.json) return print(terminal, { name, done, left: 0, passed })
  const reasons = Object.entries(passed) as [PassedReason, number][]
  if (done === 0 && reasons.length === 0) refuseUnknownJob(name, product)
  const notes = reasons.map(([why, count]) => `${count} ${PASSED[why]}`)
  return print(terminal, [`${[`${done} of ${name} ${did[action]}`, ...notes].join('; ')}.`])
}

const PASSED = {
  gone: 'had already started',
  locked: 'passed over: another act or a worker had them at that moment',
  unchanged: 'unchanged',
  alreadyQueued: 'already queued',
  unknown: 'of unknown jobs',
  endedWorkers: 'left, since workers died while they ran it',
  cancelled: 'left, since they were cancelled, and their steps may be undone',
} satisfies Record<PassedReason, string>

/** Calls until nothing is left, and prints the progress. */
async function carryOut(
  client: JobsClient,
  request: ActOnManyRequest,
  { stderr }: Terminal,
): Promise<Pick<ActOnManyOutcome, 'done' | 'passed'>> {
  let done = 0
  const passed: ActOnManyOutcome['passed'] = {}
  for (let mark: string | undefined; ;) {
    const answer = await client.actOnMany({ ...request, mark })
    done += answer.done
    for (const [why, count] of Object.entries(answer.passed) as [PassedReason, number][])
      passed[why] = (passed[why] ?? 0) + count
    if (answer.left === 0) return { done, passed }
    mark = answer.mark
    stderr.write(`${done} done, ${answer.left === 10_000 ? 'over ' : ''}${answer.left} left\n`)
  }
}

function readWhich(name: string, { id: ids, label, key, all = false }: Values): WhichWork {
  const job = { name }
  const said = [ids, label, key, all || undefined].filter((one) => one !== undefined)
  if (said.length !== 1) throw new UsageError('Give exactly one of --id, --label, --key and --all')
  if (label !== undefined) return { job, label }
  if (key !== undefined) return { job, key }
  if (ids === undefined) return { job, all: true }
  const wrong = ids.find((id) => !UUID.test(id))
  if (wrong !== undefined) throw new UsageError(`--id: "${wrong}" is not the id of a piece of work`)
  return { job, ids }
}

function readStart({ until, for: duration, now = false }: Values): Date {
  const said = [until, duration, now || undefined].filter((one) => one !== undefined)
  if (said.length !== 1) throw new UsageError('Give exactly one of --until, --for and --now')
  if (now) return new Date(0)
  if (until !== undefined) return parseDate('--until', until)
  return new Date(Date.now() + (parseDurationMs('--for', duration) ?? 0))
}

function readPriority(text: string | undefined): number {
  const value = /^-?\d{1,10}$/.test(text ?? '') ? Number(text) : Number.NaN
  if (value >= -(2 ** 31) && value < 2 ** 31) return value
  throw new UsageError(`--priority is a whole number of 32 bits, not "${text ?? ''}"`)
}
