import { describeDuration } from '../command/describeDuration.ts'
import { layOutRows, wrap, type Layout, type Style } from '../command/layout.ts'
import { told } from '../command/told.ts'
import type { Meeting } from './findMeetings.ts'
import type { ListedTick, SimulatedJob, SimulationResult } from './simulate.ts'

const MARKS = {
  afterGap: 'clocks are set forward: was due before',
  repeatedHour: 'this hour comes twice',
} as const

const STYLES: Record<ListedTick['outcome'], Style | undefined> = {
  enqueued: undefined,
  coalesced: 'dim',
  missed: 'red',
  skipped: 'yellow',
}

/** Text for people, section by section. */
export function formatSimulation(
  result: SimulationResult,
  layout: Layout,
  maxRows: number,
): string {
  const sections = [
    formatRange(result, layout),
    formatTicks(result, layout, maxRows),
    formatMeetings('Due at the same instant', result.collisions, layout),
    formatMeetings('Under way at the same time', result.overlaps, layout),
    result.outage === null ? [] : formatPolicies(result, layout),
  ]
  return sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n')
}

function formatRange({ from, to, outage, jobs }: SimulationResult, layout: Layout): string[] {
  return [
    layout.paint('bold', `From ${toUtc(from)} up to ${toUtc(to)} UTC`),
    ...(outage ? [`No worker from ${toUtc(outage.from)} to ${toUtc(outage.to)} UTC`] : []),
    ...layOutRows(
      jobs.map((job) => ({ cells: [job.name, describeJob(job)] })),
      layout,
      2,
    ),
  ]
}

function describeJob(job: SimulatedJob): string {
  const { cron, timeZone, outcomes, durationMs, measuredRuns } = job
  const duration =
    measuredRuns === null ? 'its time-out' : `95 % of ${measuredRuns.toLocaleString('en')} runs`
  return `${cron}, ${timeZone}: ${describeOutcomes(outcomes)}; ${describeDuration(durationMs)} each (${duration})`
}

function describeOutcomes(outcomes: SimulatedJob['outcomes']): string {
  const { enqueued, coalesced, missed, skipped } = outcomes
  const total = enqueued + coalesced + missed + skipped
  const others = Object.entries({ coalesced, missed, skipped })
    .filter(([, count]) => count > 0)
    .map(([outcome, count]) => `, ${count} ${outcome}`)
  return `${total} ${total === 1 ? 'tick' : 'ticks'}, ${enqueued} run${others.join('')}`
}

function formatTicks(
  { ticks, left, cutAt }: SimulationResult,
  layout: Layout,
  maxRows: number,
): string[] {
  if (ticks.length === 0) return ['No tick lies in it.']
  const folded = foldTicks(ticks)
  const shown = folded.slice(0, maxRows)
  const leftOut = folded.slice(maxRows).reduce((sum, { ticks: those }) => sum + those, left)
  // A second column that shows the same would be of no use.
  const hasZone = ticks.some(({ offset }) => offset !== '+00:00')
  const hasSeconds = ticks.some(({ scheduledFor }) => scheduledFor.getUTCSeconds() !== 0)
  const digits = hasSeconds ? 19 : 16
  const head = ['UTC', ...(hasZone ? ['local'] : []), 'job', 'what becomes of it']
  const rows = shown.map(({ first: tick, last, ticks: count, what }) => ({
    cells: [
      toUtc(tick.scheduledFor).slice(0, digits),
      ...(hasZone ? [`${tick.local.slice(5, digits)} ${tick.offset}`] : []),
      tick.job,
      count === 1
        ? what
        : `${what}: ${count.toLocaleString('en')} like this up to ${toShort(last.scheduledFor, tick.scheduledFor)}`,
    ],
    style:
      tick.mark !== null && tick.outcome === 'enqueued' ? ('cyan' as const) : STYLES[tick.outcome],
  }))
  const notes = told(
    leftOut > 0 &&
      `${leftOut.toLocaleString('en')} ${leftOut === 1 ? 'tick' : 'ticks'} left out: --limit shows more`,
    cutAt !== null &&
      `The range has too many ticks: it was gone through up to ${toUtc(cutAt)} UTC. Take a shorter one, or one job`,
  )
  return [
    ...(rows.length === 0
      ? []
      : layOutRows([{ cells: head, style: 'dim' as const }, ...rows], layout)),
    ...notes.map((note) => layout.paint('yellow', wrap(note, layout.width))),
  ]
}

/** Shorter rows of equal ticks are listed one by one. */
const MIN_FOLDED = 3

interface FoldedTicks {
  first: ListedTick
  last: ListedTick
  ticks: number
  what: string
}

/** Folds ticks of a job that follow each other and have the same outcome into one row, which stands where the first was. */
function foldTicks(ticks: readonly ListedTick[]): FoldedTicks[] {
  const groups: (FoldedTicks & { offset: string; all: ListedTick[] })[] = []
  const lastOf = new Map<string, (typeof groups)[number]>()
  for (const tick of ticks) {
    const what = describeTick(tick)
    const before = lastOf.get(tick.job)
    if (before?.what === what && before.offset === tick.offset) {
      before.all.push(tick)
      before.last = tick
      before.ticks += 1
      continue
    }
    const group = { first: tick, last: tick, ticks: 1, what, offset: tick.offset, all: [tick] }
    groups.push(group)
    lastOf.set(tick.job, group)
  }
  return groups
    .flatMap((group) =>
      group.ticks >= MIN_FOLDED
        ? [group]
        : group.all.map((tick) => ({ ...group, first: tick, last: tick, ticks: 1 })),
    )
    .toSorted((a, b) => a.first.scheduledFor.getTime() - b.first.scheduledFor.getTime())
}

function describeTick(tick: ListedTick): string {
  const { outcome, reason, count, through, startsAt, scheduledFor, mark } = tick
  const notes = told(
    count > 1 && through !== null && `${count} ticks up to ${toShort(through, scheduledFor)}`,
    reason?.replace(/[\d-]+T[\d:.]+Z/, (at) => toShort(new Date(at), scheduledFor)),
    startsAt !== null && startsAt > scheduledFor && `starts ${toShort(startsAt, scheduledFor)}`,
    mark && MARKS[mark],
  )
  const what = outcome === 'enqueued' ? 'run' : outcome
  return notes.length === 0 ? what : `${what}: ${notes.join('; ')}`
}

const MAX_MEETINGS = 20

function formatMeetings(title: string, meetings: readonly Meeting[], layout: Layout): string[] {
  if (meetings.length === 0) return []
  const left = meetings.length - MAX_MEETINGS
  return [
    layout.paint('bold', title),
    ...layOutRows(
      meetings.slice(0, MAX_MEETINGS).map(({ jobs, count, first }) => ({
        cells: [`${count} ×`, `first ${toUtc(first)}`, jobs.join(' and ')],
      })),
      layout,
      2,
    ),
    ...(left > 0 ? [`  ${left} more are left out`] : []),
  ]
}

function formatPolicies({ jobs }: SimulationResult, layout: Layout): string[] {
  const compared = jobs.flatMap(({ name, policies, catchUpMs }) =>
    policies === null ? [] : [{ name, policies, catchUpMs }],
  )
  return [
    layout.paint('bold', 'What each policy would do with the outage'),
    ...compared.flatMap(({ name, policies, catchUpMs }) => [
      `  ${name}, which makes up for what was due up to ${describeDuration(catchUpMs)} before`,
      ...layOutRows(
        [
          {
            cells: ['missed', 'overlap', 'run', 'coalesced', 'missed', 'skipped', ''],
            style: 'dim' as const,
          },
          ...policies.map((policy) => ({
            cells: [
              policy.missedPolicy,
              policy.overlapPolicy,
              ...[policy.enqueued, policy.coalesced, policy.missed, policy.skipped].map(String),
              policy.isOwn ? 'its own' : '',
            ],
            style: policy.isOwn ? ('green' as const) : undefined,
          })),
        ],
        layout,
        4,
      ),
    ]),
  ]
}

/** Leaves out the date when it is the same as the other's. */
function toShort(instant: Date, other: Date): string {
  const [date, time] = toUtc(instant).split(' ')
  const short = time?.endsWith(':00') ? time.slice(0, 5) : time
  return date === toUtc(other).slice(0, 10) ? `${short}` : `${date} ${short}`
}

function toUtc(instant: Date): string {
  return instant.toISOString().slice(0, 19).replace('T', ' ')
}
