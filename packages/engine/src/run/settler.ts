import pg from 'pg'
import type { Logger } from '../job/logger.ts'
import type { Details } from '../index.ts'
import { storableText } from '../job/storableText.ts'
import type { Observers } from './combineObservers.ts'
import type { WorkLabel } from '../job/labelWork.ts'
import type { HeldClaim, NewRun } from '../store/claimWork.ts'
import type { Database } from '../store/database.ts'
import type { ErrorDescription } from './describeError.ts'
import type { AfterFailure, Queue } from '../store/queue.ts'
import { pauseAfter } from './pauseAfter.ts'
import { EXPIRED, findSettled, letGo, settleWork, type EndToRecord } from '../store/settleWork.ts'
import { writeEnds, writeOutRuns } from '../store/starts.ts'

/** A run whose handler has ended, as it is to be recorded. */
export interface EndedRun {
  run: Pick<NewRun, 'id' | 'name' | 'attempt' | 'queueJobId' | keyof WorkLabel>
  held: HeldClaim
  /** Default: it is written. */
  isUnwritten?: boolean | undefined
  endedAt: Date
  /** Merged into what the run's batches have counted. */
  details: Details | null
  failure: { error: ErrorDescription; next: AfterFailure } | null
  /** What it has logged, and what it has come to, as JSON. Default: nothing. */
  logs?: string | null | undefined
  result?: string | null | undefined
}

/** `instead` is what was settled where PostgreSQL refused what was to be, or where it was too late for that. */
export type SettleOutcome =
  | { kind: 'settled'; details: Details | null; instead?: EndedRun }
  | { kind: 'lost' }

export interface Settler {
  /** Ends the run and settles its piece of work, both or neither. Waits out a database that is away. */
  settle(ended: EndedRun): Promise<SettleOutcome>
  /** Tries nothing any more. What has not been settled is left to the rescue: its outcome is `lost`. */
  stop(): void
}

interface Waiting extends EndToRecord {
  ended: EndedRun
  /** Whether it is not what the run's handler has led to. */
  isInstead: boolean
  tries: number
  resolve: (outcome: SettleOutcome) => void
}

interface Settled extends Awaited<ReturnType<typeof settleWork>> {
  /** The claims that were let go. */
  let: readonly HeldClaim[]
}

/**
 * Why settling failed.
 *   away       the database does not answer, or takes nothing at the moment
 *   contended  a run, or its work, is locked by somebody or was just changed
 *   refused    the next try will meet it again: there is something in it that can't be stored
 */
type Failure = 'away' | 'contended' | 'refused'

const MAX_GROUP = 2_000
/** Of details, in characters: PostgreSQL answers with those of a group as one value, which has a limit. */
const MAX_GROUP_LENGTH = 4_000_000
/** At once, while there are more runs than one group can take. */
const MAX_GROUPS = 2
/** What waits behind a group that takes longer need not wait for it. */
const SLOW_MS = 500
/** At once, while the others are slow. */
const MAX_SLOW_GROUPS = 4
/** Parts of divided groups, at once: each may wait for a lock, and holds a connection meanwhile. */
const MAX_PARTS = 2

/**
 * Commits in groups: what has ended while one transaction was under way shares the next one. So a lone
 * run is settled at once, and thousands cost few transactions.
 *
 * While the database is away, all wait, and groups that get smaller are tried in turn, so that none can keep the others
 * from being settled. A group that is refused, or that waited in vain for a lock, is divided, and what comes next does
 * not wait for its parts. A run that is refused alone is ended without what was refused.
 */
export function createSettler(options: {
  database: Database
  queue: Queue
  workerId: string
  log: Logger
  observers?: Observers | undefined
}): Settler {
  const { database, queue, workerId, log } = options
  const waiting: Waiting[] = []
  // Claims without a run that is open, which the next group lets go.
  let left: HeldClaim[] = []
  let busy = 0
  // Since the database was last heard of.
  let failures = 0
  let isStopped = false
  let parts = 0
  const waitingParts: (() => void)[] = []

  function startGroups(): void {
    busy++
    // Runs that end in the same turn of the event loop share a transaction.
    setImmediate(() => void settleGroups())
  }

  async function settleGroups(): Promise<void> {
    while (waiting.length > 0 && !isStopped) {
      const alarm = setTimeout(() => {
        if (waiting.length > 0 && busy < MAX_SLOW_GROUPS) startGroups()
      }, SLOW_MS)
      await settleNext().finally(() => clearTimeout(alarm))
    }
    busy--
    if (isStopped) leaveToRescue(waiting.splice(0))
    else if (busy === 0 && left.length > 0) await letLeftGo()
  }

  async function letLeftGo(): Promise<void> {
    const over = left
    left = []
    try {
      await letGo(database, over)
    } catch (error) {
      // With the next ones: until then they say of no run that it is under way.
      left.push(...over)
      log.warn({ err: error }, 'letting claims go failed')
    }
  }

  async function settleNext(): Promise<void> {
    // Of those that wait: the halves of what a group may take would hold all of a few for many tries.
    const most = Math.min(waiting.length, MAX_GROUP)
    const group = takeGroup(waiting, Math.max(1, most >> Math.min(failures, 16)))
    const failure = await tryToSettle(group)
    if (failure === null) {
      failures = 0
    } else if (isStopped) {
      leaveToRescue(group)
    } else if (failure === 'away') {
      // Behind the others: if it is this very group that connections break at, they get their turn.
      waiting.push(...group)
      await pauseAfter(++failures)
    } else {
      void settleInParts(group, failure)
    }
  }

  /** Until all of the group is settled. */
  async function settleInParts(group: readonly Waiting[], failure: Failure): Promise<void> {
    const [one] = group
    let last: Failure | null = failure
    for (let tries = 1; last !== null; tries++) {
      if (group.length > 1 && last !== 'away') {
        if (last === 'contended') await pauseAfter(tries)
        const middle = Math.ceil(group.length / 2)
        await Promise.all(
          [group.slice(0, middle), group.slice(middle)].map(async (part) => {
            const partFailure = await tryPart(part)
            if (partFailure !== null) await settleInParts(part, partFailure)
          }),
        )
        return
      }
      const instead = last === 'refused' && one ? toInstead(one) : null
      last = instead === null ? last : await tryPart([instead])
      if (last === null) return
      await pauseAfter(tries)
      last = await tryPart(group)
    }
    if (last !== null) leaveToRescue(group)
  }

  function leaveToRescue(group: readonly Waiting[]): void {
    for (const { resolve } of group) resolve({ kind: 'lost' })
  }

  /** In its turn. */
  async function tryPart(part: readonly Waiting[]): Promise<Failure | null> {
    if (parts === MAX_PARTS) await new Promise<void>((resolve) => waitingParts.push(resolve))
    else parts++
    try {
      return await tryToSettle(part)
    } finally {
      const next = waitingParts.shift()
      if (next === undefined) parts--
      else next()
      if (parts + busy === 0 && left.length > 0 && !isStopped) await letLeftGo()
    }
  }

  /** Null when they are settled. */
  async function tryToSettle(group: readonly Waiting[]): Promise<Failure | null> {
    const over = [...left, ...heldByThese(group)]
    const again = group.filter(({ tries }) => tries > 0)
    for (const one of group) one.tries++
    let answer: Settled
    try {
      answer = await commit(group, over)
      await addSettledBefore(answer.recorded, again)
    } catch (error) {
      // Giving up would leave the runs to the rescue, and their work to be done twice. If the commit
      // did go through, the runs are found ended, as this worker has ended them: nothing is settled twice.
      const failure = classifyFailure(error)
      const runId = group.length === 1 ? group[0]?.ended.run.id : undefined
      log.warn({ err: error, runs: group.length, runId }, 'settling failed, trying again')
      if (!isStopped) return failure
      for (const { resolve } of group) resolve({ kind: 'lost' })
      return null
    }
    options.observers?.runsSettled(group.length)
    left = left.filter((held) => !answer.let.includes(held))
    for (const { ended, isInstead, resolve } of group) {
      const { run, held } = ended
      // Another group has settled the others of it, at the same time.
      if (--held.open === 0 && !answer.let.includes(held)) left.push(held)
      const details = answer.recorded.get(run.id)
      if (details === undefined) {
        resolve({ kind: 'lost' })
        continue
      }
      const isExpired = answer.expired.includes(run.id)
      const instead = isExpired ? toExpired(ended) : isInstead ? ended : null
      resolve({ kind: 'settled', details, ...(instead && { instead }) })
    }
    return null
  }

  /** A try before this one may have been committed, and only its answer was lost. */
  async function addSettledBefore(
    recorded: Map<string, Details | null>,
    again: readonly Waiting[],
  ): Promise<void> {
    const missing = again.filter(({ ended }) => !recorded.has(ended.run.id))
    for (const [id, details] of await findSettled(database, workerId, missing)) {
      recorded.set(id, details)
    }
  }

  /** What is not written and has succeeded first, by a statement of its own: the runs of a group do not depend on each other. */
  async function commit(group: readonly Waiting[], over: readonly HeldClaim[]): Promise<Settled> {
    const [silent, others] = [group.filter(isSilent), group.filter((one) => !isSilent(one))]
    if (silent.length === 0) return { ...(await commitWritten(group, over)), let: over }
    // The start of a run that others have to write out has to stay until they have.
    const loud = new Set(others.map(({ ended }) => ended.held))
    const quiet = over.filter((held) => !loud.has(held))
    const starts = quiet.flatMap(({ id, hasStart }) => (hasStart ? [id] : []))
    const written = await writeEnds(database, workerId, silent, starts)
    // Somebody has written them out meanwhile.
    const missing = silent.filter(({ ended }) => !written.has(ended.run.id))
    for (const { ended } of missing) ended.held.hasClaim = true
    if (written.size === group.length)
      return { recorded: written, expired: [], let: quiet.filter(({ hasClaim }) => !hasClaim) }
    const rest = group.filter(({ ended }) => !written.has(ended.run.id))
    const { recorded, expired } = await commitWritten(rest, over)
    return { recorded: new Map([...written, ...recorded]), expired, let: over }
  }

  async function commitWritten(
    group: readonly Waiting[],
    over: readonly HeldClaim[],
  ): ReturnType<typeof settleWork> {
    const failed = group.flatMap(({ ended: { run, failure } }) => {
      const { id, queueJobId, name, attempt } = run
      if (queueJobId === null || failure === null) return []
      return [{ id, delivery: { queueJobId, name, attempt }, failure }]
    })
    // One statement is a transaction of its own.
    if (failed.length === 0) return await settleWork(database, workerId, group, over)
    return await database.transaction(async (tx) => {
      const unwritten = group.filter(({ ended }) => ended.isUnwritten).map(({ ended }) => ended)
      if (unwritten.length > 0) {
        for (const { held } of unwritten) held.hasClaim = true
        const startIds = [...new Set(unwritten.map(({ held }) => held.id))]
        await writeOutRuns(
          tx,
          startIds,
          unwritten.map(({ run }) => run.id),
        )
      }
      const answer = await settleWork(tx, workerId, group, over)
      const recorded = failed.filter(({ id }) => answer.recorded.has(id))
      for (const { delivery, failure } of recorded) {
        if (failure.next === 'drop') continue
        // Where it was thrown is told by its runs.
        const { code, message } = failure.error
        await queue.fail(tx, [delivery], { code, message }, failure.next)
      }
      // There may be thousands of them, which have all waited for too long.
      const dropped = recorded.filter(({ failure }) => failure.next === 'drop')
      for (const same of Map.groupBy(dropped, ({ delivery }) => delivery.name).values()) {
        const [{ failure }] = same as [(typeof same)[0]]
        await queue.fail(
          tx,
          same.map(({ delivery }) => delivery),
          failure.error,
          'drop',
        )
      }
      return answer
    })
  }

  return {
    settle: (ended) =>
      new Promise((resolve) => {
        waiting.push(toWaiting(ended, resolve))
        if (busy === 0 || (busy < MAX_GROUPS && waiting.length >= MAX_GROUP)) startGroups()
      }),
    stop() {
      isStopped = true
    },
  }
}

/** The first of those that wait, as far as they may go together. */
function takeGroup(waiting: Waiting[], limit: number): Waiting[] {
  let length = 0
  let count = 0
  for (const { details, ended } of waiting) {
    for (const text of [details, ended.logs, ended.result]) length += text?.length ?? 0
    if (count === limit || (count > 0 && length > MAX_GROUP_LENGTH)) break
    count++
  }
  return waiting.splice(0, count)
}

function toWaiting(ended: EndedRun, resolve: Waiting['resolve']): Waiting {
  try {
    return { ended, details: toText(ended), isInstead: false, tries: 0, resolve }
  } catch {
    // JSON refuses it, as PostgreSQL would.
    const instead = toStorable(ended)
    return { ended: instead, details: toText(instead), isInstead: true, tries: 0, resolve }
  }
}

/** Null where there is nothing in it that could be refused. */
function toInstead(one: Waiting): Waiting | null {
  const { details, failure, logs = null, result = null } = one.ended
  const isPlain = [details, failure, logs, result].every((part) => part === null)
  if (one.isInstead || isPlain) return null
  const ended = toStorable(one.ended)
  return { ...one, ended, details: toText(ended), isInstead: true }
}

/** Whether it is to be written now, and has been successful. */
function isSilent({ ended }: Waiting): boolean {
  return ended.isUnwritten === true && ended.failure === null
}

/** Without what a handler has handed over. */
function toStorable(ended: EndedRun): EndedRun {
  const { failure } = ended
  const what = failure === null ? 'The handler did its work, and' : 'The run failed, and'
  const error: ErrorDescription = {
    code: 'details_unstorable',
    message:
      `${what} PostgreSQL refused its details` +
      (failure === null ? '' : ` (of ${storableText(failure.error.code, 64)})`),
  }
  const next = failure?.next ?? 'giveUp'
  return { ...ended, details: { error }, failure: { error, next }, logs: null, result: null }
}

/** Its handler came to an end, but too late. */
function toExpired(ended: EndedRun): EndedRun {
  const details = { ...ended.details, error: EXPIRED }
  return { ...ended, details, failure: { error: EXPIRED, next: 'giveUp' } }
}

function toText({ details }: EndedRun): string | null {
  return details === null || Object.keys(details).length === 0 ? null : JSON.stringify(details)
}

/** Of what the driver or Node says of a connection there are many kinds; what a program's mistake says, is known. */
export function classifyFailure(error: unknown): Failure {
  if (error instanceof pg.DatabaseError) {
    const code = error.code ?? ''
    if (/^(40|55|57014)/.test(code)) return 'contended'
    return /^(08|53|57|58|25006)/.test(code) ? 'away' : 'refused'
  }
  const isMistake =
    error instanceof TypeError ||
    error instanceof RangeError ||
    error instanceof SyntaxError ||
    error instanceof ReferenceError
  return isMistake ? 'refused' : 'away'
}

/** The claims of which these are the last. */
function heldByThese(group: readonly Waiting[]): HeldClaim[] {
  const counts = new Map<HeldClaim, number>()
  for (const { ended } of group) counts.set(ended.held, (counts.get(ended.held) ?? 0) + 1)
  return [...counts].flatMap(([held, count]) => (held.open === count ? [held] : []))
}
