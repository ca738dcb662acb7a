import {
  createLocalTime,
  hideMessages,
  listRunWaits,
  readRunLinks,
  type LinkedRun,
  type RunLinks,
  type RunWait,
} from '@roundsman/engine/internal'
import { getJobRun, listSchedules, type FoundJobRun } from '@roundsman/engine/client'
import { describeDuration } from '../command/describeDuration.ts'
import { describeInstant } from '../command/describeInstant.ts'
import { layOutFacts, onOneLine, standardLayout, type Fact } from '../command/layout.ts'
import { print } from '../command/print.ts'
import { withClient, type ProductSource } from '../command/product.ts'
import { ForeseenError, UsageError, type Terminal } from '../command/runCommand.ts'
import { told } from '../command/told.ts'
import { UUID } from './pages.ts'

/** Prints one run: what it is, where it has come from, and what has come from it. Returns the exit code. */
export async function showRun(
  id: string,
  { json, messages }: { json?: boolean | undefined; messages?: boolean | undefined },
  terminal: Terminal,
  source: ProductSource,
): Promise<number> {
  if (!UUID.test(id)) throw new UsageError(`"${id}" is not the id of a run`)
  const product = await source.open(terminal)
  const found = await withClient(product, async ({ reader }) => {
    const run = await getJobRun(reader, id)
    if (run === null) return null
    const waits = run.status === 'running' ? await listRunWaits(reader, run.workerId) : []
    const { timeZone = null } =
      (run.scheduledFor && (await listSchedules(reader, [run.name])).get(run.name)) || {}
    return { ...run, links: await readRunLinks(reader, run), waits, timeZone }
  })
  if (found === null)
    throw new ForeseenError(`There is no run ${id}. Runs are removed after a while.`)
  hideMessages(found, { messages })
  if (json) return print(terminal, { run: found })
  return print(terminal, layOutFacts(describeRun(found), standardLayout(terminal.stdout)))
}

type ShownRun = FoundJobRun & { links: RunLinks; waits: RunWait[]; timeZone: string | null }

function describeRun(run: ShownRun): Fact[] {
  const { links, startedAt, endedAt } = run
  return [
    ['Run', run.id],
    ['Job', run.name],
    ['Label', run.label],
    ['Outcome', [run.outcome, run.errorCode].filter(Boolean).join(', ')],
    ['Error', describeError(run)],
    ['Started', describeInstant(startedAt)],
    ['Ended', endedAt && `${describeInstant(endedAt)}, after ${between(startedAt, endedAt)}`],
    ...run.waits.map((wait): Fact => ['Waits', describeWait(wait)]),
    ['Attempt', String(run.attempt)],
    ['Trigger', run.trigger],
    ['Tick', run.scheduledFor && describeTick(run.scheduledFor, run.timeZone)],
    ['Left', describeStillDue(run)],
    ['Started by', run.actor],
    ['Reason', run.reason],
    ...describeOrigin(links),
    ['Enqueued by', run.enqueuedBy],
    ['Key', run.key],
    ['Unique key', run.uniqueKey],
    ['Trace', run.traceId],
    ['Work', run.workId],
    ['Worker', run.workerId],
    ['Version', run.version],
    ...links.sameLabel.map((other): Fact => ['Same label', describeSameLabel(other, run)]),
    ...describeChildren(links),
  ]
}

/** Details may hold anything. When a run failed, the engine wrote its error into them. */
export function describeError({ details }: Pick<FoundJobRun, 'details'>): string | null {
  if (typeof details !== 'object' || details === null || Array.isArray(details)) return null
  const { error } = details
  if (typeof error !== 'object' || error === null || Array.isArray(error)) return null
  const { code, message, meaning, name, stack } = error
  const [frame = ''] = textOf(stack).split('\n')
  const why = textOf(message) || told(textOf(name), frame).join(' ')
  const text = told(textOf(code), why).join(': ')
  const means = textOf(meaning)
  return text === '' ? null : onOneLine(means === '' ? text : `${text} (${means})`)
}

const textOf = (part: unknown) => (typeof part === 'string' ? part : '')

function describeTick(tick: string, timeZone: string | null): string {
  if (timeZone === null || timeZone === 'UTC') return describeInstant(tick)
  const { local, offset } = createLocalTime(timeZone).describe(new Date(tick))
  return `${local} ${offset} in ${timeZone}, ${describeInstant(tick)}`
}

/** How many rows a clean-up has passed over; null where it says nothing of that. */
export function describeStillDue({ details }: Pick<FoundJobRun, 'details'>): string | null {
  const { stillDue } = (details ?? {}) as { stillDue?: unknown }
  return (typeof stillDue === 'number' && stillDue > 0) || typeof stillDue === 'string'
    ? `${onOneLine(String(stillDue))} still due, locked by others`
    : null
}

function describeWait({ isOfWorker, waiter, since, holder, holderSince }: RunWait): string {
  const who = isOfWorker ? 'its worker' : 'a session of this database, perhaps of this run'
  const open =
    holderSince === null ? '' : `, in a transaction since ${describeInstant(holderSince)}`
  return `${who} (${waiter}) since ${describeInstant(since)} for a lock of ${holder}${open}`
}

function describeOrigin({ parent, again }: RunLinks): Fact[] {
  return [
    ['Enqueued by', parent && describeLink(parent)],
    [
      again?.isApproval ? 'Approved run' : 'Again of',
      again && `${describeLink(again)}, by ${again.actor} at ${describeInstant(again.at)}`,
    ],
  ]
}

function describeLink({ id, run }: { id: string; run: LinkedRun | null }): string {
  return run === null ? `run ${id}, no longer kept` : `run ${id} of ${titleOf(run)}`
}

function describeSameLabel(other: LinkedRun, { startedAt }: FoundJobRun): string {
  const side = Date.parse(other.startedAt) < Date.parse(startedAt) ? 'before' : 'after'
  const distance = between(...([other.startedAt, startedAt].toSorted() as [string, string]))
  return `another piece of work with this label started ${distance} ${side}: run ${other.id}, ${other.outcome}`
}

function describeChildren({ children, areChildrenCut }: RunLinks): Fact[] {
  const rows = children.map((child): Fact => {
    const { workId, run, startAfter } = child
    const state = [
      run && `run ${run.id}, ${run.outcome}`,
      startAfter && `waits until ${describeInstant(startAfter)}`,
    ]
    return ['Led to', `${titleOf(child)}: ${state.filter(Boolean).join(', ')}, work ${workId}`]
  })
  return areChildrenCut ? [...rows, ['Led to', 'maybe more']] : rows
}

const titleOf = ({ name, label }: { name: string; label: string | null }) =>
  label === null ? name : `${name} (${label})`
const between = (from: string, to: string) => describeDuration(Date.parse(to) - Date.parse(from))
