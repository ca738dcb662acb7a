import { listRecentKeyedTicks, listScheduleActions } from '@roundsman/engine/internal'
import { JobError, type Job } from '@roundsman/engine'
import type { JobsClient, ListedSchedule, PreviewedTick } from '@roundsman/engine/client'
import { currentUser } from '../command/currentUser.ts'
import { describeDuration } from '../command/describeDuration.ts'
import { describeInstant } from '../command/describeInstant.ts'
import {
  layOutFacts,
  onOneLine,
  standardLayout,
  wrap,
  type Fact,
  type Layout,
} from '../command/layout.ts'
import { parseDate, parseInstant } from '../command/parseInstant.ts'
import {
  parseAction,
  parseDurationMs,
  parseWholeNumber,
  requireReason,
} from '../command/parseOptions.ts'
import { print } from '../command/print.ts'
import { withClient, type Product, type ProductSource } from '../command/product.ts'
import { ForeseenError, UsageError, type Command, type Terminal } from '../command/runCommand.ts'
import { told } from '../command/told.ts'
import { refuseUnknownJob } from '../command/unknownJob.ts'
import { describeCron } from '../list/describeJobs.ts'
import { describePause, describeTick, MISSED } from '../list/formatJobs.ts'

const usage = (
  call: string,
) => `Usage: ${call} list [<job>] [--search TEXT] [--state paused|refused|late] [--limit N] [--after POSITION] [--json]
       ${call} show <job> <key> [--limit N] [--json]
       ${call} preview (<job> <key> | --cron CRON [--time-zone ZONE]) [--limit N] [--json]
       ${call} set <job> <key> [--cron CRON] [--time-zone ZONE] [--payload JSON] [--missed once|all|skip] [--overlap skip|allow]
           [--catch-up DURATION] [--jitter DURATION] [--starts DATE|now] [--ends DATE|never] [--allow-seconds] [--reason TEXT] [--json]
       ${call} pause|trigger <job> <key> --reason TEXT [--json]
       ${call} resume|delete <job> <key> [--reason TEXT] [--json]
       ${call} resume <job> --all [--reason TEXT] [--json]
       ${call} backfill <job> <key> --from DATE [--to DATE] --reason TEXT [--json]

Lists, shows and changes schedules that are stored in the database, such as one for each customer. Payloads are not shown.
The person and the reason of a change are recorded.

set creates or changes a schedule. Omitted options do not change, and have the values below in a new schedule. Ticks that
are due by the old definition are decided first. trigger enqueues one run now, in addition to the ticks. backfill enqueues
runs for the ticks between two instants that had no run, at most 10,000. preview lists the next instants of a schedule.

  --search TEXT       only keys that begin with TEXT
  --cron CRON         five fields, or six with seconds in front
  --time-zone ZONE    IANA name; UTC in a new schedule
  --payload JSON      the payload of each of its runs; {} in a new schedule
  --catch-up DURATION a tick that was due longer ago is missed: 90s, 15min, 2h, 3d; 1d in a new schedule
  --jitter DURATION   spreads schedules that are due at one instant; 0s in a new schedule
  --starts, --ends    no tick before --starts and none after --ends; in UTC unless they have an offset
  --from, --to        the first and the last instant to backfill, in the same way; --to defaults to now
  --allow-seconds     allows more than one tick in a minute
  --all               resume all paused schedules of the job
  --reason TEXT       why, for the record
  --limit N           how many schedules, ticks or instants, 1 to 1000 (preview: 100); default 20
  --after POSITION    continue after this position, which the previous page printed
  --json              print one JSON object

Exit code: 0 done, or nothing to do, 1 refused, or the environment or the database needs attention, 2 usage`

const OPTIONS = {
  search: { type: 'string' },
  state: { type: 'string' },
  cron: { type: 'string' },
  'time-zone': { type: 'string' },
  payload: { type: 'string' },
  missed: { type: 'string' },
  overlap: { type: 'string' },
  'catch-up': { type: 'string' },
  jitter: { type: 'string' },
  starts: { type: 'string' },
  ends: { type: 'string' },
  from: { type: 'string' },
  to: { type: 'string' },
  'allow-seconds': { type: 'boolean' },
  all: { type: 'boolean' },
  reason: { type: 'string' },
  limit: { type: 'string' },
  after: { type: 'string' },
  json: { type: 'boolean' },
} as const

const OPTIONS_OF = {
  list: ['search', 'state', 'limit', 'after', 'json'],
  show: ['limit', 'json'],
  preview: ['cron', 'time-zone', 'limit', 'json'],
  set: [
    ...(['cron', 'time-zone', 'payload', 'missed', 'overlap', 'catch-up', 'jitter'] as const),
    ...(['starts', 'ends', 'allow-seconds', 'reason', 'json'] as const),
  ],
  pause: ['reason', 'json'],
  resume: ['all', 'reason', 'json'],
  trigger: ['reason', 'json'],
  backfill: ['from', 'to', 'reason', 'json'],
  delete: ['reason', 'json'],
} as const

type Values = ReturnType<typeof parseAction<typeof OPTIONS, string>>['values']
/** The parts of one call. */
interface Call {
  values: Values
  terminal: Terminal
  product: Product
}
interface Target {
  name: string
  key: string
}

export function createSchedulesCommand(source: ProductSource): Command {
  return {
    usage: usage(source.call),
    async run(args, terminal) {
      const { action, values, words } = parseAction(args, OPTIONS, OPTIONS_OF)
      const [name, key, ...rest] = words
      if (rest.length > 0) throw new UsageError(`"${rest.join(' ')}" is too much`)
      if (action === 'list' && key !== undefined)
        throw new UsageError('list takes a job; to look for a key, give --search')
      const product = await source.open(terminal)
      const call = { values, terminal, product }
      if (action === 'list') return await list(name, call)
      if (action === 'preview' && values.cron !== undefined && name === undefined)
        return await preview(null, call)
      if (name === undefined) throw new UsageError('Which job? Give its name')
      if (action === 'resume' && values.all === true) {
        if (key !== undefined) throw new UsageError('Give a key or --all, not both')
        return await resumeAll(name, call)
      }
      if (key === undefined) throw new UsageError('Which schedule? Give its key')
      const target = { name, key }
      switch (action) {
        case 'show':
          return await show(target, call)
        case 'preview':
          return await preview(target, call)
        case 'set':
          return await set(target, call)
        case 'backfill':
          return await backfill(target, call)
        default:
          return await act(action, target, call)
      }
    },
  }
}

const MAX_PREVIEWED = 100
const MAX_ACTIONS = 20

async function list(name: string | undefined, { values, terminal, product }: Call) {
  const { search, state, json } = values
  const limit = parseWholeNumber('--limit', values.limit, { min: 1, max: 1_000, otherwise: 20 })
  const after = parsePlace(values.after)
  const page = await withClient(product, async ({ schedules }) =>
    schedules.list({ name, search, state: state as never, limit, after }),
  )
  const next = page.next && `${page.next.name}/${page.next.key}`
  if (json) return print(terminal, { schedules: page.schedules, next })
  if (page.schedules.length === 0) refuseUnknownJob(name, product)
  const layout = standardLayout(terminal.stdout)
  const isNarrowed = [name, search, state, after].some((one) => one !== undefined)
  const none = isNarrowed ? 'No schedule matches.' : 'There are no schedules that are kept as data.'
  const lines = page.schedules.flatMap((one) => formatListed(one, layout))
  if (next !== null) lines.push('', layout.paint('dim', `More: --after ${onOneLine(next)}`))
  return print(terminal, lines.length === 0 ? [none] : lines)
}

/** Job names have no slash. */
function parsePlace(text: string | undefined): Target | undefined {
  if (text === undefined) return undefined
  const [, name, key] = /^([^/]+)\/(.+)$/s.exec(text) ?? []
  if (name !== undefined && key !== undefined) return { name, key }
  throw new UsageError(`--after: "${text}" is not a position that this command has printed`)
}

/** The next tick and its expression; then the reasons that prevent it. */
function formatListed(one: ListedSchedule, { width, paint }: Layout): string[] {
  const due = one.nextAt === null ? 'never' : one.nextAt.slice(0, 19).replace('T', ' ')
  const problem = describeState(one)
  return [
    `${due.padEnd(19)}  ${one.name}  ${onOneLine(one.key)}`,
    paint('dim', `  ${one.cron} in ${one.timeZone}`),
    ...(problem === null ? [] : [paint('yellow', `  ${wrap(problem, width - 2, 2)}`)]),
  ]
}

function describeState({ pausedAt, pausedBy, pauseReason, isLate }: ListedSchedule): string | null {
  if (pausedAt !== null)
    return onOneLine(`paused ${describePause({ at: pausedAt, by: pausedBy, reason: pauseReason })}`)
  return isLate ? 'late: its tick is due, and no worker has decided it' : null
}

async function show(target: Target, { values, terminal, product }: Call) {
  const limit = parseWholeNumber('--limit', values.limit, { min: 1, max: 1_000, otherwise: 20 })
  const { name, key } = target
  const found = await withClient(product, async ({ schedules, reader }) => ({
    schedule: await schedules.get(target),
    ticks: await listRecentKeyedTicks(reader, { name, keys: [key], limit }),
    actions: await listScheduleActions(reader, { name, key, limit: MAX_ACTIONS }),
    preview: schedules.preview,
  }))
  const { schedule, ticks, actions } = found
  if (schedule === null && actions.length === 0) throw unknownSchedule(target, product)
  const upcoming = schedule === null ? [] : previewOf(schedule, 5, found.preview)
  if (values.json) return print(terminal, { schedule, upcoming, ticks, actions })
  const facts: Fact[] = [
    ['Schedule', key],
    ['Job', name],
    ...(schedule === null
      ? [['State', 'deleted'] as const]
      : describeDefinition(schedule, upcoming)),
    ...ticks.map(({ scheduledFor, outcome, count, reason, run }, nth): Fact => {
      const parts = told(
        `${describeInstant(scheduledFor)} ${outcome}`,
        count > 1 && `${count} ticks`,
        reason,
        run && `run ${run.id} ${run.status}`,
      )
      return [nth === 0 ? 'Ticks' : '', parts.join(', ')]
    }),
    ...actions.map(({ at, action, actor, reason }, nth): Fact => [
      nth === 0 ? 'Changes' : '',
      `${describeInstant(at)} ${action} by ${actor}${reason === null ? '' : `: ${reason}`}`,
    ]),
  ]
  return print(terminal, layOutFacts(facts, standardLayout(terminal.stdout)))
}

function describeDefinition(
  schedule: ListedSchedule,
  upcoming: readonly PreviewedTick[],
): readonly Fact[] {
  const { cron, timeZone, missed, overlap, catchUpMs, jitterMs, startsAt, endsAt } = schedule
  const limit = missed === 'skip' ? '' : ` of the last ${describeDuration(catchUpMs)}`
  return [
    ['State', describeState(schedule)],
    ['Version', schedule.version],
    ['Due', `${describeCron(cron)}, ${timeZone}`],
    ['Cron', cron],
    ['From', startsAt && describeInstant(startsAt)],
    ['To', endsAt && describeInstant(endsAt)],
    ...describeTicks(upcoming, timeZone),
    ['Missed', `${missed}: ${MISSED[missed]}${limit}`],
    ['Overlap', overlap],
    ['Jitter', jitterMs !== 0 && `up to ${describeDuration(jitterMs)}`],
  ]
}

function describeTicks(ticks: readonly PreviewedTick[], timeZone: string) {
  if (ticks.length === 0) return [['Next', 'never'] as const]
  return ticks.map((tick, at) => [at === 0 ? 'Next' : '', describeTick(tick, timeZone)] as const)
}

/** The next instants, also of a paused schedule. */
function previewOf(
  { cron, timeZone, startsAt, endsAt }: ListedSchedule,
  count: number,
  find: JobsClient['schedules']['preview'],
): PreviewedTick[] {
  return find({ cron, timeZone, startsAt: toDate(startsAt), endsAt: toDate(endsAt), count })
}

async function preview(target: Target | null, { values, terminal, product }: Call) {
  const bounds = { min: 1, max: MAX_PREVIEWED, otherwise: 20 }
  const count = parseWholeNumber('--limit', values.limit, bounds)
  const { cron, 'time-zone': timeZone } = values
  const found = await withClient(product, async ({ schedules }) => {
    const schedule = target && (await schedules.get(target))
    if (target !== null && schedule === null) throw unknownSchedule(target, product)
    const zone = timeZone ?? schedule?.timeZone ?? 'UTC'
    const { startsAt = null, endsAt = null } = schedule ?? {}
    const of = { startsAt: toDate(startsAt), endsAt: toDate(endsAt) }
    const by = cron ?? schedule?.cron ?? ''
    return { zone, ticks: schedules.preview({ cron: by, timeZone: zone, ...of, count }) }
  })
  if (values.json) return print(terminal, { timeZone: found.zone, upcoming: found.ticks })
  if (found.ticks.length === 0) return print(terminal, ['It is never due again.'])
  return print(
    terminal,
    found.ticks.map((tick) => describeTick(tick, found.zone)),
  )
}

async function set({ name, key }: Target, { values, terminal, product }: Call) {
  const job = product.jobs.find((one) => one.name === name)
  if (job === undefined) refuseUnknownJob(name, product)
  const { reason, cron, 'time-zone': timeZone, missed, overlap } = values
  const payload = readPayload(values.payload)
  const catchUpMs = parseDurationMs('--catch-up', values['catch-up'])
  const jitterMs = parseDurationMs('--jitter', values.jitter)
  const startsAt = readInstant('--starts', values.starts, 'now')
  const endsAt = readInstant('--ends', values.ends, 'never')
  const done = await refusedInWords(product, async ({ schedules }) => {
    const before = await schedules.get({ name, key })
    if (before === null && cron === undefined)
      throw new UsageError('--cron is missing: when is it due?')
    const wanted = {
      key,
      cron: cron ?? before?.cron,
      timeZone: timeZone ?? before?.timeZone,
      missed: missed ?? before?.missed,
      overlap: overlap ?? before?.overlap,
      catchUpMs: catchUpMs ?? before?.catchUpMs,
      jitterMs: jitterMs ?? before?.jitterMs,
      startsAt: startsAt === undefined ? toDate(before?.startsAt ?? null) : startsAt,
      endsAt: endsAt === undefined ? toDate(before?.endsAt ?? null) : endsAt,
      ...(payload === undefined ? { keepsPayload: before !== null } : { payload }),
      // If the expression does not change, its author has already allowed it.
      allowSeconds: values['allow-seconds'] ?? cron === undefined,
      ifVersion: before?.version ?? 0,
      ...{ actor: currentUser(), reason },
    }
    return await schedules.upsert(null, job as Job, wanted as never)
  })
  const { kind, version } = done
  const nextAt = done.nextAt?.toISOString() ?? null
  if (values.json) return print(terminal, { name, key, kind, version, nextAt })
  const did = { created: 'created', changed: 'changed', unchanged: 'unchanged' }[kind]
  const next = nextAt === null ? 'never due' : `next at ${describeInstant(nextAt)}`
  return print(terminal, [`${nameOf({ name, key })} is ${did}: version ${version}, ${next}.`])
}

function readPayload(text: string | undefined): unknown {
  if (text === undefined) return undefined
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new UsageError(`--payload is no JSON: ${(error as Error).message}`)
  }
}

function readInstant(option: string, text: string | undefined, none: string) {
  if (text === undefined) return undefined
  if (text === none) return null
  const { instant, problem } = parseInstant(text, 'UTC')
  if (instant !== null) return instant
  throw new UsageError(`${option}: ${problem}, or ${none}`)
}

async function backfill(target: Target, { values, terminal, product }: Call) {
  const { name, key } = target
  const { from, to } = values
  const reason = requireReason(values.reason)
  if (from === undefined) throw new UsageError('--from is missing: since when?')
  const request = {
    from: parseDate('--from', from),
    to: to === undefined ? new Date() : parseDate('--to', to),
    ...{ actor: currentUser(), reason },
  }
  const job = product.jobs.find((one) => one.name === name) ?? { name }
  const outcome = await refusedInWords(product, async ({ schedules }) =>
    schedules.backfill(null, job, key, request),
  )
  if (outcome.kind === 'notFound') throw unknownSchedule(target, product)
  const { enqueued, kept } = outcome
  if (values.json) return print(terminal, { name, key, enqueued, kept })
  return print(terminal, [
    `${nameOf(target)} has ${enqueued} ${enqueued === 1 ? 'run' : 'runs'} more to do; ${kept} of its ticks had one.`,
  ])
}

async function act(
  action: 'pause' | 'resume' | 'trigger' | 'delete',
  target: Target,
  { values, terminal, product }: Call,
) {
  const { name, key } = target
  const { reason = '', json } = values
  if (action === 'pause' || action === 'trigger') requireReason(reason)
  const by = { actor: currentUser(), reason }
  // With the definition, a triggered run has its label.
  const job = product.jobs.find((one) => one.name === name) ?? { name }
  const { outcome, before } = await refusedInWords(product, async ({ schedules }) => {
    const found = await schedules.get(target)
    return { before: found, outcome: await schedules[action](null, job, key, by) }
  })
  if (outcome === 'notFound' || (typeof outcome === 'object' && outcome.kind === 'notFound'))
    throw unknownSchedule(target, product)
  if (typeof outcome === 'object') {
    const { workId } = outcome
    if (json) return print(terminal, { name, key, workId })
    return print(terminal, [`${nameOf(target)} has work of its own to do now: ${workId}.`])
  }
  if (json) return print(terminal, { name, key, outcome })
  const state = before && describeState(before)
  const words = {
    paused: 'is paused',
    alreadyPaused: `was ${state ?? 'paused'} already`,
    resumed: 'is resumed',
    notPaused: 'was not paused',
    deleted: 'is deleted; its work, ticks and runs stay',
  }
  return print(terminal, [`${nameOf(target)} ${words[outcome]}.`])
}

/** Each in a separate transaction, page by page, so that no tick of another schedule waits. */
async function resumeAll(name: string, { values, terminal, product }: Call) {
  const { reason = '', json } = values
  const job = product.jobs.find((one) => one.name === name) ?? { name }
  const resumed = await refusedInWords(product, async ({ schedules }) => {
    let count = 0
    for (let after: Target | undefined; ;) {
      const page = await schedules.list({ name, state: 'paused', limit: 1_000, after })
      for (const { key } of page.schedules) {
        const outcome = await schedules.resume(null, job, key, { actor: currentUser(), reason })
        if (outcome === 'resumed') count++
      }
      if (page.next === null) return count
      after = page.next
    }
  })
  if (resumed === 0) refuseUnknownJob(name, product)
  if (json) return print(terminal, { name, resumed })
  return print(terminal, [
    `${resumed} ${resumed === 1 ? 'schedule' : 'schedules'} of ${name} ${resumed === 1 ? 'is' : 'are'} resumed.`,
  ])
}

/** Prints a refusal by the engine that the product causes without a stack. */
async function refusedInWords<Value>(
  product: Pick<Product, 'within'>,
  work: (client: JobsClient) => Promise<Value>,
): Promise<Value> {
  try {
    return await withClient(product, work)
  } catch (error) {
    if (error instanceof JobError) throw new ForeseenError(`${error.message}.`, { cause: error })
    throw error
  }
}

const nameOf = ({ name, key }: Target) => `The schedule ${onOneLine(key)} of ${name}`

function unknownSchedule(target: Target, product: Pick<Product, 'jobs'>): ForeseenError {
  refuseUnknownJob(target.name, product)
  return new ForeseenError(`${target.name} has no schedule ${onOneLine(target.key)}`)
}

function toDate(at: string | null): Date | null {
  return at === null ? null : new Date(at)
}
