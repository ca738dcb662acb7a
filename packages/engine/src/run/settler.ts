import pg from 'pg'
import type { Logger } from '../job/logger.ts'
import type { Details } from '../job/handler.ts'
import { storableText } from '../values/storableText.ts'
import type { Observers } from './combineObservers.ts'
import type { HeldClaim } from '../queue/taken.ts'
import type { Connection, Database } from '../database/database.ts'
import type { RunEnding } from './observer.ts'
import { pauseAfter } from './pauseAfter.ts'
import type { Holdings } from '../work/holdings.ts'
import { deleteClaims, endRuns, findEnded, type End } from '../queue/endRuns.ts'

export interface Settler {
  /** Records the run's end and settles its work, both or neither. Waits while the database is away. */
  settle(end: End): Promise<RunEnding>
  /** Stops trying. Runs that are not settled by then resolve as `lost`, and the rescue ends them. */
  stop(): void
}

interface Waiting {
  end: End
  /** Whether this end replaces one that PostgreSQL refused. */
  isInstead: boolean
  tries: number
  resolve: (ending: RunEnding) => void
}

/**
 * Why settling failed.
 *   away       the database does not answer, or takes nothing at the moment
 *   contended  another session has a run or its claim locked, or has just changed it
 *   refused    PostgreSQL cannot store something in it, so the next try would fail too
 */
type Failure = 'away' | 'contended' | 'refused'

const MAX_GROUP = 2_000
/** Characters of details in a group: PostgreSQL returns them as one value, which has a limit. */
const MAX_GROUP_LENGTH = 4_000_000
/** Groups at once, while there are more runs than one group can take. */
const MAX_GROUPS = 2
/** If a group takes longer, waiting runs start another one. */
const SLOW_MS = 500
/** Groups at once, while the earlier ones are slow. */
const MAX_SLOW_GROUPS = 4
/** Parts of divided groups at once: each may wait for a lock, and holds a connection meanwhile. */
const MAX_PARTS = 2

/**
 * Settles runs in groups: runs that end during one transaction share the next one. So a lone run settles at once, and
 * thousands cost few transactions.
 *
 * While the database is away all runs wait, and the settler tries ever smaller groups in turn, so that none can hold the
 * others back. It divides a group that was refused, or that found a row locked, and later runs do not wait for the parts. Runs with
 * free rows settle at once, and the others once their rows are free. A run that is refused alone ends without the refused values.
 */
export function createSettler(options: {
  database: Database
  workerId: string
  log: Logger
  observers?: Observers | undefined
  /** The claims that the worker holds. Default: they are read by no other part. */
  holdings?: Pick<Holdings, 'settled'> | undefined
}): Settler {
  const { database, workerId, log } = options
  const waiting: Waiting[] = []
  // Claims without an open run. The next group deletes their rows.
  let emptyClaims: HeldClaim[] = []
  // No group may wait for the locks of their rows.
  const lockedClaims = new Set<HeldClaim>()
  let isDeleting = false
  let busy = 0
  // Failures since the database last answered.
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
    else if (busy === 0) void deleteEmptyClaims()
  }

  /** Tries again until none is left: the claim of an exclusive job keeps its next run from starting. */
  async function deleteEmptyClaims(): Promise<void> {
    if (isDeleting) return
    isDeleting = true
    for (let tries = 1; emptyClaims.length > 0 && !isStopped; tries++) {
      const claims = emptyClaims
      const ids = claims.map(({ id }) => id)
      try {
        const kept = await deleteClaims(database, ids)
        const deleted = new Set(claims.filter(({ id }) => !kept.has(id)))
        for (const claim of deleted) lockedClaims.delete(claim)
        emptyClaims = emptyClaims.filter((claim) => !deleted.has(claim))
      } catch (error) {
        // Meanwhile these claims list no run that is under way.
        log.warn({ err: error }, 'claims could not be released')
      }
      if (emptyClaims.length > 0) await pauseAfter(tries)
    }
    isDeleting = false
  }

  async function settleNext(): Promise<void> {
    // Halve what waits, not MAX_GROUP: a few runs would stay together for many tries.
    const most = Math.min(waiting.length, MAX_GROUP)
    const group = takeGroup(waiting, Math.max(1, most >> Math.min(failures, 16)))
    const failure = await tryToSettle(group)
    if (failure === null) {
      failures = 0
    } else if (isStopped) {
      leaveToRescue(group)
    } else if (failure === 'away') {
      // Behind the others: if this very group breaks connections, the others still get their turn.
      waiting.push(...group)
      await pauseAfter(++failures)
    } else {
      void settleInParts(group, failure)
    }
  }

  /** Divides a group and tries its parts until all of it is settled, or the settler stops. */
  async function settleInParts(whole: readonly Waiting[], failure: Failure): Promise<void> {
    let group = whole
    let last: Failure | null = failure
    for (let tries = 1; last !== null && !isStopped; tries++) {
      if (last === 'contended') {
        const [free, others] = await divideByLocks(group)
        if (others.length > 0) {
          await Promise.all([settlePart(free), settleOnceFree(others)])
          return
        }
      }
      if (group.length > 1 && last !== 'away') {
        if (last === 'contended') await pauseAfter(tries)
        const middle = Math.ceil(group.length / 2)
        await Promise.all([settlePart(group.slice(0, middle)), settlePart(group.slice(middle))])
        return
      }
      const [one] = group
      const instead = last === 'refused' && one ? toInstead(one) : null
      // From now on: the answer to it may be lost, and only the same end is found again.
      if (instead !== null) group = [instead]
      else await pauseAfter(tries)
      last = await tryPart(group)
    }
    if (last !== null) leaveToRescue(group)
  }

  async function settlePart(part: readonly Waiting[]): Promise<void> {
    if (part.length === 0) return
    const failure = await tryPart(part)
    if (failure !== null) await settleInParts(part, failure)
  }

  /** Settles runs with locked rows, each as soon as its rows are free. It polls, and never waits for a lock. */
  async function settleOnceFree(group: readonly Waiting[]): Promise<void> {
    log.warn(
      { runs: group.length, runId: group[0]?.end.runId },
      'ends of runs cannot be recorded while another session has locked their rows',
    )
    const settling: Promise<void>[] = []
    let others = group
    for (let looks = 1; others.length > 0 && !isStopped; looks++) {
      await pauseAfter(looks)
      const [free, still] = await divideByLocks(others)
      settling.push(settlePart(free))
      others = still
    }
    leaveToRescue(others)
    await Promise.all(settling)
  }

  /** Divides a group into the runs that can be settled now, and those with locked rows. */
  async function divideByLocks(
    group: readonly Waiting[],
  ): Promise<[free: readonly Waiting[], others: readonly Waiting[]]> {
    const held = [...new Set([...group.map(({ end }) => end.claim), ...emptyClaims])]
    let found: Locked
    try {
      found = await findLocked(database, {
        runIds: group.map(({ end }) => end.runId),
        claimIds: held.map(({ id }) => id),
      })
    } catch (error) {
      // Such as a lock on a whole table.
      log.warn({ err: error }, 'locks of other sessions could not be looked for, trying again')
      return [[], group]
    }
    const { unending, staying } = found
    for (const claim of held) if (staying.has(claim.id)) lockedClaims.add(claim)
    const isFree = ({ end }: Waiting) => !unending.has(end.runId) && !unending.has(end.claim.id)
    return [group.filter(isFree), group.filter((one) => !isFree(one))]
  }

  function leaveToRescue(group: readonly Waiting[]): void {
    for (const { end, resolve } of group) resolve(toEnding(end, undefined))
  }

  /** Tries a part once fewer than MAX_PARTS are under way. */
  async function tryPart(part: readonly Waiting[]): Promise<Failure | null> {
    if (parts === MAX_PARTS) await new Promise<void>((resolve) => waitingParts.push(resolve))
    else parts++
    try {
      return await tryToSettle(part)
    } finally {
      const next = waitingParts.shift()
      if (next === undefined) parts--
      else next()
      if (parts + busy === 0) void deleteEmptyClaims()
    }
  }

  /** Returns null when the group is settled. */
  async function tryToSettle(group: readonly Waiting[]): Promise<Failure | null> {
    const over = [...emptyClaims, ...claimsEndedBy(group)].filter(
      (claim) => !lockedClaims.has(claim),
    )
    const again = group.filter(({ tries }) => tries > 0)
    for (const one of group) one.tries++
    let recorded: Map<string, Details | null>
    try {
      const ends = group.map(({ end }) => end)
      recorded = await endRuns(
        database,
        workerId,
        ends,
        over.map(({ id }) => id),
      )
      const missing = again.flatMap(({ end }) => (recorded.has(end.runId) ? [] : [end]))
      if (missing.length > 0) {
        // An earlier try was committed, and its answer was lost.
        const found = await findEnded(database, workerId, missing)
        for (const [id, details] of found) recorded.set(id, details)
      }
    } catch (error) {
      // Giving up would leave the runs to the rescue, and others would do their work again. If the commit did go through,
      // the next try finds the runs ended by this worker: nothing settles twice.
      const failure = classifyFailure(error)
      const runId = group.length === 1 ? group[0]?.end.runId : undefined
      log.warn({ err: error, runs: group.length, runId }, 'settling failed, trying again')
      if (!isStopped) return failure
      leaveToRescue(group)
      return null
    }
    options.observers?.runsSettled(group.length)
    emptyClaims = emptyClaims.filter((claim) => !over.includes(claim))
    for (const { end, resolve } of group) {
      const { claim, runId } = end
      if (claim.open.delete(runId) && claim.open.size === 0) {
        options.holdings?.settled(claim)
        // Two groups settled the last runs of a claim at the same time: neither could delete the row.
        if (!over.includes(claim)) emptyClaims.push(claim)
        if (lockedClaims.has(claim)) void deleteEmptyClaims()
      }
      resolve(toEnding(end, recorded.get(end.runId)))
    }
    return null
  }

  return {
    settle: (end) =>
      new Promise((resolve) => {
        waiting.push({ end, isInstead: false, tries: 0, resolve })
        if (busy === 0 || (busy < MAX_GROUPS && waiting.length >= MAX_GROUP)) startGroups()
      }),
    stop() {
      isStopped = true
    },
  }
}

/** Takes the first runs that wait, up to `limit` and MAX_GROUP_LENGTH. */
function takeGroup(waiting: Waiting[], limit: number): Waiting[] {
  let length = 0
  let count = 0
  for (const { end } of waiting) {
    const { details, logs, result } = end
    length += (details?.length ?? 0) + (logs?.length ?? 0) + (result?.length ?? 0)
    if (count === limit || (count > 0 && length > MAX_GROUP_LENGTH)) break
    count++
  }
  return waiting.splice(0, count)
}

/** The end as the settler has recorded it. `details` are all details of the run; undefined: another worker has ended it. */
function toEnding(
  { startedAt, endedAt, error, next }: End,
  details: Details | null | undefined,
): RunEnding {
  const durationMs = endedAt.getTime() - startedAt.getTime()
  if (details === undefined) return { kind: 'lost', durationMs }
  if (next.kind === 'suspend') return { kind: 'suspended', durationMs }
  if (error === null) return { kind: 'success', durationMs, details }
  return { kind: 'failed', durationMs, details, code: error.code }
}

/** The end to settle in place of a refused one; null when nothing in it could be refused. */
function toInstead(one: Waiting): Waiting | null {
  const { details, error, logs, result } = one.end
  if (one.isInstead || (details ?? error ?? logs ?? result) === null) return null
  return { ...one, end: withoutDetails(one.end), isInstead: true }
}

/** The same end without anything that the handler handed over. */
function withoutDetails(end: End): End {
  if (end.next.kind === 'suspend') return { ...end, details: null, logs: null }
  const what = end.error === null ? 'The handler finished, but' : 'The run failed, and'
  const error = {
    code: 'details_unstorable',
    message:
      `${what} PostgreSQL refused to store its details` +
      (end.error === null ? '' : ` (the run failed with ${storableText(end.error.code, 64)})`),
  }
  const next = end.error === null ? { kind: end.unstorable } : end.next
  return { ...end, error, next, details: JSON.stringify({ error }), logs: null, result: null }
}

/** Drivers and Node have many errors for a lost connection, so any that is not from PostgreSQL or a programming mistake is. */
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

/** The claims whose last open runs are in this group. */
function claimsEndedBy(group: readonly Waiting[]): HeldClaim[] {
  const counts = new Map<HeldClaim, number>()
  for (const { end } of group) counts.set(end.claim, (counts.get(end.claim) ?? 0) + 1)
  return [...counts].flatMap(([claim, count]) => (claim.open.size === count ? [claim] : []))
}

/** The ids of those rows that are locked against the lock `lock`. */
const lockedSql = (table: string, ids: string, lock: string) => `array(
    select locked."id"::text from "${table}" locked
    where locked."id" = any(${ids}::uuid[]) and locked."id" not in (
      select "id" from "${table}" where "id" = any(${ids}::uuid[]) for ${lock} skip locked
    )
  )`

const LOCKED_SQL = `
  select ${lockedSql('JobRun', '$1', 'update')} || ${lockedSql('JobClaim', '$2', 'key share')} as "unending",
         ${lockedSql('JobClaim', '$2', 'update')} as "staying"`

/** The locked rows at this moment: runs whose ends cannot be recorded, and claims that cannot be deleted. */
interface Locked {
  /** Runs, and claims whose runs they are. */
  unending: ReadonlySet<string>
  /** Claims. */
  staying: ReadonlySet<string>
}

/** Finds which of these runs and claims are locked. It waits for no lock. */
async function findLocked(
  connection: Connection,
  { runIds, claimIds }: { runIds: readonly string[]; claimIds: readonly string[] },
): Promise<Locked> {
  const { rows } = await connection.query<{ unending: string[]; staying: string[] }>(LOCKED_SQL, [
    runIds,
    claimIds,
  ])
  return { unending: new Set(rows[0]?.unending), staying: new Set(rows[0]?.staying) }
}
