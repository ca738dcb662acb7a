import type { ConsoleAttention, ConsoleOverview } from '@roundsman/admin/contract'
import { formatAhead, formatDuration, formatRoughDuration } from '../../time/formatDuration.ts'
import { formatExact } from '../../time/formatExact.ts'
import { describeCatchUp, readyCount } from './Backlog.tsx'
import { describeFailures } from './describeFailures.ts'

export interface OverviewSentence {
  tone: 'good' | 'warn' | 'bad'
  text: string
}

/** The sentence that people should read first. The worst problem leads; the others are counted. */
export function describeOverview(
  { attention, jobs, backlog }: Pick<ConsoleOverview, 'attention' | 'jobs' | 'backlog'>,
  now: number,
): OverviewSentence {
  const recovered = attention.filter(({ kind }) => kind === 'recovered')
  const [first, ...others] = attention
    .filter(({ kind }) => kind !== 'recovered')
    .toSorted(bySeverity)
  if (first === undefined) {
    const waiting = backlog.filter(({ isPaused }) => isPaused)
    return {
      tone: waiting.length === 0 ? 'good' : 'warn',
      text: whenAllIsWell(jobs) + sayPaused(waiting) + sayRecovered(recovered.length),
    }
  }
  const more = others.length === 0 ? '' : `, and ${otherThings(others.length)}`
  return { tone: isBad(first) ? 'bad' : 'warn', text: sayFirst(first, now) + more }
}

const BAD = [
  'noWorker',
  'late',
  'unscheduled',
  'overrunning',
  'poison',
  'silent',
  'failing',
  'expired',
  'limitExceeded',
] as const
const WARN = [
  'connections',
  'lockWait',
  'idle',
  'slower',
  'blocked',
  'orphaned',
  'clock',
  'pausedQueue',
  'backlog',
  'keyBlocked',
  'heldKey',
  'slow',
  'deadLetter',
  'refused',
  'oldSnapshot',
  'unvacuumed',
  'rescheduled',
] as const
const ORDER: readonly ConsoleAttention['kind'][] = [...BAD, ...WARN, 'recovered']

/** Puts the worst problems first; equally bad ones stay in their order. */
export function bySeverity(a: ConsoleAttention, b: ConsoleAttention): number {
  return ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind)
}

/** Whether an item is bad; all others are warnings. */
export function isBad({ kind }: Pick<ConsoleAttention, 'kind'>): boolean {
  return BAD.some((bad) => bad === kind)
}

function whenAllIsWell({ total, paused }: ConsoleOverview['jobs']): string {
  if (total === 0) return 'There are no jobs yet'
  if (paused === 0) return total === 1 ? 'The one job is on time' : `All ${total} jobs on time`
  return `${total - paused} of ${total} jobs on time, ${paused} paused`
}

/** Work that waits in paused queues is not on time, though somebody wants it so. */
function sayPaused([first, ...others]: ConsoleOverview['backlog']): string {
  if (first === undefined) return ''
  if (others.length > 0) return `, work waits in ${others.length + 1} paused queues`
  return `, ${first.name} is paused with ${readyCount(first)} waiting`
}

function sayRecovered(count: number): string {
  if (count === 0) return ''
  return count === 1 ? ', one has recovered' : `, ${count} have recovered`
}

/** `1 schedule`, `10,000 or more schedules`. */
export function countRefused({ count, isCut }: { count: number; isCut: boolean }): string {
  if (count === 1) return '1 schedule'
  return `${count.toLocaleString('en')}${isCut ? ' or more' : ''} schedules`
}

/** The leading sentence for the worst item. */
function sayFirst(item: ConsoleAttention, now: number): string {
  switch (item.kind) {
    case 'recovered':
      return `${item.name} has recovered`
    case 'noWorker':
      return item.lastSignAt === null
        ? 'No worker is running'
        : `No worker is running, the last was seen ${since(item.lastSignAt, now)} ago`
    case 'late':
      return `${item.name}${item.key === undefined ? '' : `, schedule ${item.key},`} is ${since(item.since, now)} late`
    case 'silent':
      return `A worker has been silent for ${since(item.since, now)}`
    case 'failing':
      return item.recent === null || item.recent.runs === 1
        ? `The last run of ${item.name} failed`
        : `${item.name}: ${describeFailures(item.recent, now)}`
    case 'blocked':
      return `${item.name} waits for an approval`
    case 'oldSnapshot':
      return `${item.holder} keeps old rows from being removed`
    case 'lockWait':
      return `${item.waiter} has waited ${since(item.since, now)} for a lock of ${item.holder}`
    case 'unvacuumed':
      return item.problem
    case 'orphaned':
      return `${item.isCut ? 'At least ' : ''}${countPieces(item.waiting)} of ${item.name}, which no worker knows`
    case 'backlog':
      return `${item.name}: ${readyCount(item)} waiting, ${describeCatchUp(item)}`
    case 'clock':
      return `The clock of ${item.host} is ${formatAhead(item.aheadMs)}`
    case 'heldKey':
      return `${item.name}: the unique key ${item.uniqueKey} is held until ${formatDay(item.until)}`
    case 'limitExceeded':
      return `${nameLimit(item)} has ${item.running.toLocaleString('en')} runs where ${item.most.toLocaleString('en')} may be`
    case 'keyBlocked':
      return `${item.name}: ${countWaiting(item)} behind a dead letter of key ${item.key}`
    case 'connections':
      return `${item.used.toLocaleString('en')} of ${item.most.toLocaleString('en')} connections of the database are used`
    case 'expired':
      return `${item.name}: ${item.expired.toLocaleString('en')} of ${item.runs.toLocaleString('en')} were not started in time`
    case 'pausedQueue':
      return `${item.name} has been paused for ${since(item.since, now)}${item.waiting === 0 ? '' : `, ${countWaiting(item)}`}`
    case 'unscheduled':
      return `${item.name} is scheduled by no worker`
    case 'poison':
      return `${item.label ?? 'Work'} of ${item.name} has lost ${item.losses.toLocaleString('en')} workers`
    case 'idle':
      return `${item.name} has done nothing for ${item.first === null ? 'more than a day' : since(item.first.at, now)}`
    case 'slower':
      return `${item.name} takes ${formatDuration(item.p50Ms)}, usually ${formatDuration(item.usualMs)}`
    case 'refused':
      return `${item.name} takes the payloads of ${countRefused(item)} no more`
    case 'rescheduled':
      return `${item.name} has another schedule`
    case 'overrunning':
    case 'slow':
      return `${item.name} has been running for ${since(item.since, now)}`
    case 'deadLetter':
      return item.count === 1
        ? `${item.name} has 1 dead letter`
        : `${item.name} has ${item.isCut ? 'over ' : ''}${item.count.toLocaleString('en')} dead letters`
    default:
      return item satisfies never
  }
}

function since(instant: string, now: number): string {
  return formatRoughDuration(now - new Date(instant).getTime())
}

function otherThings(count: number): string {
  return count === 1 ? 'one other thing needs you' : `${count} other things need you`
}

/** Says `The limit crm`, `importOrders, key 42,`. */
function nameLimit({ name, limit, key }: ConsoleAttention & { kind: 'limitExceeded' }): string {
  return `${limit === null ? name : `The limit ${limit}`}${key === null ? '' : `, key ${key},`}`
}

/** Writes `2028-01-31` by the viewer's clock. */
export function formatDay(instant: string): string {
  return formatExact(instant).local.slice(0, 10)
}

/** Says `over 431 wait`. */
export function countWaiting({ waiting, isCut }: { waiting: number; isCut: boolean }): string {
  return `${isCut ? 'over ' : ''}${waiting.toLocaleString('en')} ${waiting === 1 ? 'waits' : 'wait'}`
}

/** Says `1 piece of work waits`, `9 pieces of work wait`. */
export function countPieces(waiting: number): string {
  if (waiting === 1) return '1 piece of work waits'
  return `${waiting.toLocaleString('en')} pieces of work wait`
}
