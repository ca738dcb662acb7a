import { checkHealthQuery } from '../arguments/queries.ts'
import type { Job } from '../job/defineJob.ts'
import {
  findFailingGroup,
  findFailingHost,
  findFailingSince,
  findIdleSince,
  findSlowSince,
  findVersions,
  type FailingGroup,
  type FailingHost,
  type FirstRun,
} from './findFirst.ts'
import { createUsualFailures, type UsualFailures } from './createUsualFailures.ts'
import { judgeHealth, type JobProblem } from './getJobHealth.ts'
import { getOldestSnapshot, isSnapshotOld, nameSnapshotHolder } from './getOldestSnapshot.ts'
import {
  isMuchExpired,
  judgeFailures,
  readFailures,
  type FailedLast,
  type FailureLimits,
  type JobFailures,
} from './judgeFailures.ts'
import { slowLimitMs } from './judgeRun.ts'
import { listIdle, listSlower, type IdleJob, type SlowerJob } from './judgeRuns.ts'
import { countDeadLettersByCause, type DeadLetterCause } from './listDeadLetters.ts'
import { listWrongClocks, type WrongClock } from './listClocks.ts'
import {
  describeConnections,
  findFewConnections,
  MANY_CONNECTIONS,
  MANY_OF_TOLD,
  type FewConnections,
} from './findFewConnections.ts'
import { listExpired, type ExpiredWork } from './listExpired.ts'
import { findMainGroup, groupWaitingWork, type MainGroup } from './listGroups.ts'
import { listFailures, type FailedRun } from './listFailures.ts'
import { listHeldKeys, type HeldKey } from './listHeldKeys.ts'
import {
  listBlockedKeys,
  listExceededLimits,
  type BlockedKey,
  type ExceededLimit,
} from './listLimitProblems.ts'
import { listPoison, type Poison } from './listPoison.ts'
import { listLockWaits, type LockWait } from './listLockWaits.ts'
import { describeUnvacuumed, listUnvacuumed } from './listUnvacuumed.ts'
import { listRefusedSchedules, type RefusedSchedules } from './listKeyedSchedules.ts'
import { listRescheduled, type RescheduledJob } from './listSchedules.ts'
import { isWorkerSilent, listWorkers } from './listWorkers.ts'
import { measureBacklog, type Backlog } from './measureBacklog.ts'
import {
  jobsWithoutWorker,
  readPausedQueues,
  withOtherJobs,
  type PausedQueue,
} from './readQueues.ts'
import type { JobsReader } from './reader.ts'
import { listLanesInUse, type LanesInUse } from './runsUnderWay.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

/**
 * All that can be wrong with the jobs, as the console, alerts, metrics and /health/jobs tell it. The runbook says what
 * each kind means. Instants are ISO 8601 in UTC.
 */
export type Problem =
  | JobProblem
  /** The worker lives, and has given no sign since then: it is stopped, or a handler blocks it. Its runs wait. */
  | { kind: 'silent'; workerId: string; since: string }
  /** Workers have died while they ran the work, which may be why. */
  | ({ kind: 'poison' } & Told<Omit<Poison, 'recentLosses'>>)
  /** Too many of its runs fail, or the last one that ended did, and not by poison alone. `first`: null where that is further back than the judge looks. */
  | ({
      kind: 'failing'
      latest: LatestError | null
      first: FirstRun | null
      /** Where all of the latest failed on one host alone. */
      onHost: FailingHost | null
      /** What nearly all of the latest have in common, and others that run well have not. */
      ofGroup: FailingGroup | null
    } & Failing)
  /** Its guard has blocked the run, which somebody may approve until then. */
  | {
      kind: 'blocked'
      name: string
      runId: string
      since: string
      due: number
      approvableUntil: string
    }
  /** Its work has waited for a minute or more, and workers need an hour or more for it, or never catch up, as `Backlog` says. */
  | ({ kind: 'backlog' } & JudgedBacklog & {
        /** What more than half of it is, by its key, its label or what its job shows, as far as was looked. */
        main: MainGroup | null
      })
  /** The host's clock is not the database's, by the runs that its workers record. */
  | ({ kind: 'clock' } & WrongClock)
  /** Work that waits for far longer than is usual holds a unique key. */
  | ({ kind: 'heldKey' } & HeldKey)
  /** More runs go on than a limit over all workers allows, which must never be. */
  | ({ kind: 'limitExceeded' } & ExceededLimit)
  /** Work of a key waits behind a dead letter: the job's order is `fifo`. */
  | ({ kind: 'keyBlocked' } & BlockedKey)
  /** Nearly all connections of the database server are used. */
  | { kind: 'connections'; used: number; most: number; problem: string }
  /** Many of its runs of the last hour were not started by the time that they were to be started by. */
  | ({ kind: 'expired' } & ExpiredWork)
  /** Its queue is paused for more than a day, or due work has waited for an hour of the pause: `waiting` pieces. */
  | {
      kind: 'pausedQueue'
      name: string
      since: string
      by: string
      reason: string | null
      waiting: number
      isCut: boolean
    }
  /** It succeeds, and so many runs in a row have counted nothing that it is hardly luck. */
  | ({ kind: 'idle' } & Told<IdleJob>)
  /** Half of the last hour's runs took far longer than in any other hour. `first`: null where that was more than a day ago. */
  | ({ kind: 'slower'; first: FirstRun | null } & Omit<SlowerJob, 'limitMs'>)
  /** The run takes far longer than its like. `usualMs`: what nearly all of them took; null when none has succeeded. */
  | { kind: 'slow'; name: string; runId: string; since: string; usualMs: number | null }
  /**
   * Work of the job was given up. `isCut`: there may be more, of each cause too, so nobody knows since when. The most frequent
   * cause comes first.
   */
  | {
      kind: 'deadLetter'
      name: string
      count: number
      isCut: boolean
      since: string | null
      causes: { code: string; thrown: string; count: number }[]
    }
  /** Such as `pid 4711 (psql, active)`: it keeps old rows from being removed. `since`: null where nobody can tell. */
  | { kind: 'oldSnapshot'; holder: string; since: string | null; transactions: number }
  /** Sessions of the database have waited for seconds at a lock that another holds. */
  | ({ kind: 'lockWait' } & LockWait)
  /** Autovacuum is off, or does not come to a table of the queue. */
  | { kind: 'unvacuumed'; problem: string; remedy: string }
  /** Its schema no longer takes the payloads of keyed schedules, which are paused for that. */
  | ({ kind: 'refused' } & RefusedSchedules)
  /** A worker of another version has changed its schedule within the day. */
  | ({ kind: 'rescheduled' } & RescheduledJob)
  /** No problem any more: too many of its runs had failed. */
  | ({ kind: 'recovered'; recent: JobFailures } & Failing)

/** `first`: null where that was more than a day ago. */
type Told<Found extends { firstRunId: string | null }> = Omit<Found, 'firstRunId'> & {
  first: FirstRun | null
}

export type ProblemKind = Problem['kind']

interface Failing {
  name: string
  /** The last run that failed with the code, and when it ended. */
  runId: string
  since: string
  code: string
  /** As RecentFailures have it. */
  thrown: string
  /** Null when the last run failed earlier than these. */
  recent: JobFailures | null
}

/** What the job's last run failed with, where most have failed otherwise. */
interface LatestError {
  runId: string
  code: string
  /** As RecentFailures have it. */
  thrown: string
}

export interface JudgedBacklog extends Backlog {
  /** Somebody has paused its queue. */
  isPaused: boolean
  /** Workers live, and none of them takes its work. */
  isUntaken: boolean
  /** Nobody takes any while all slots are held, whatever was taken before. */
  held: HeldSlots | null
}

/** Every slot of the living workers that take the job is held by runs that go on for far longer than usual. */
export interface HeldSlots {
  slots: number
  /** The run that started first, and when, as ISO 8601 in UTC. */
  runId: string
  since: string
}

export interface JudgeOptions {
  /** Default: what is usual is sampled anew. */
  usualFailures?: UsualFailures
  /** Which share of a job's latest runs is too much, and how long ago they may have started. */
  failureRate?: number
  failureWindowMs?: number
  /** How old a snapshot may be. */
  snapshotMs?: number
  /** How many causes of dead letters to list. */
  maxCauses?: number
  /** Whether somebody has been told of this: then it is over only well below its limit. */
  wasTold?: (kind: ProblemKind, name: string) => boolean
}

/** What was read to judge the jobs, and what is wrong. */
export interface Situation {
  problems: Problem[]
  workers: Awaited<ReturnType<typeof listWorkers>>
  lanes: LanesInUse[]
  /** What has waited for some seconds, the longest wait first. */
  backlog: JudgedBacklog[]
  /** The other jobs of which the queue holds anything, and that a living worker knows, or nobody can tell since none lives. */
  others: string[]
}

/** Lists what is wrong with the jobs of the catalogue, by some twenty bounded statements. */
export async function listProblems(
  reader: JobsReader,
  jobs: readonly Job[],
  now: Date,
): Promise<{ problems: Problem[] }> {
  const { problems } = await judgeJobs(reader, jobs, now)
  return { problems }
}

/** Does so, and returns what it has read as well. */
export async function judgeJobs(
  reader: JobsReader,
  catalogue: readonly Job[],
  at: Date,
  options: JudgeOptions = {},
): Promise<Situation> {
  const { jobs, now } = checkHealthQuery(reader, catalogue, at)
  const { usualFailures = createUsualFailures(), failureRate, failureWindowMs = HOUR_MS } = options
  const { snapshotMs, maxCauses, wasTold = () => false } = options
  const before = (ms: number) => new Date(now.getTime() - ms)
  const names = jobs.map(({ name }) => name)
  const all = await withOtherJobs(reader, names)
  const [
    ended,
    failures,
    idle,
    slower,
    expired,
    connections,
    changed,
    waiting,
    pauses,
    letters,
    snapshot,
    unvacuumed,
    poison,
    lanes,
    lockWaits,
    asFound,
  ] = await Promise.all([
    listFailures(reader, names, before(DAY_MS)),
    readFailures(reader, names, before(failureWindowMs), now, usualFailures),
    listIdle(reader, names, now),
    listSlower(reader, names, now),
    listExpired(reader, names, now),
    findFewConnections(reader, wasTold('connections', '') ? MANY_OF_TOLD : MANY_CONNECTIONS),
    told('rescheduled', listRescheduled(reader, names, before(DAY_MS))),
    measureBacklog(reader, all, jobs),
    readPausedQueues(reader),
    countDeadLettersByCause(reader, all, maxCauses),
    getOldestSnapshot(reader),
    listUnvacuumed(reader),
    listPoison(reader, before(DAY_MS), before(failureWindowMs)),
    listLanesInUse(reader),
    told('lockWait', listLockWaits(reader)),
    Promise.all([
      told('refused', listRefusedSchedules(reader)),
      told('clock', listWrongClocks(reader)),
      told('heldKey', listHeldKeys(reader, all)),
      told('limitExceeded', listExceededLimits(reader)),
      told('keyBlocked', listBlockedKeys(reader)),
    ]),
  ])
  // Last: in a transaction they hold locks of workers until it ends, and a worker that comes back waits for its own.
  const [workers, untaken] = await Promise.all([
    listWorkers(reader),
    jobsWithoutWorker(reader, all),
  ])
  const isAnyAlive = workers.some(({ isAlive }) => isAlive)
  const { problems: ofHealth } = await judgeHealth(reader, jobs, now, {
    ...{ isAnyAlive, pauses },
    untaken: untaken.filter((name) => !names.includes(name)),
  })
  const lastOf = await findFailedLast(reader, ended, failures, usualFailures, now)
  const failing = listFailing(failures, lastOf, (name) => ({
    failureRate,
    isTold: wasTold('failing', name),
  })).filter((one) => !isByPoison(one, poison))
  const firstOf = await findFirstRuns(reader, { idle, slower, poison, failing }, now)
  const whereOf = new Map(
    await Promise.all(
      failing.map(async ({ name, recent }) => {
        if (recent === null) return [name, NOWHERE] as const
        const from = new Date(recent.from)
        const [onHost, ofGroup] = await Promise.all([
          findFailingHost(reader, name, from),
          findFailingGroup(reader, name, from),
        ])
        return [name, { onHost, ofGroup }] as const
      }),
    ),
  )
  const backlog = describeBacklog(
    waiting,
    (name) => pauses.has(name),
    (name) => isAnyAlive && untaken.includes(name),
    (name) => findHeldSlots(name, { workers, lanes, jobs, now }),
  )
  const tooMuch = backlog.filter((row) => isTooMuch(row, wasTold('backlog', row.name)))
  const mainOf = await findMainGroups(reader, tooMuch)
  const isOfHealth = (kind: JobProblem['kind'], name: string) =>
    ofHealth.some((one) => one.kind === kind && 'name' in one && one.name === name)
  const problems: Problem[] = [
    ...ofHealth,
    ...workers
      .filter((worker) => isWorkerSilent(worker, now))
      .map(({ id, lastSignAt }) => ({
        kind: 'silent' as const,
        workerId: id,
        since: lastSignAt,
      })),
    ...poison.map(({ firstRunId, recentLosses: _recentLosses, ...one }) => ({
      kind: 'poison' as const,
      ...one,
      first: firstOf(firstRunId),
    })),
    ...failing.map((one) =>
      one.kind === 'failing'
        ? {
            ...one,
            first: firstOf(`failing ${one.name}`),
            ...(whereOf.get(one.name) ?? NOWHERE),
          }
        : one,
    ),
    ...ended.flatMap(blocked),
    ...tooMuch
      .filter(({ name }) => !isOfHealth('orphaned', name))
      .map((row) => ({
        kind: 'backlog' as const,
        ...row,
        main: mainOf.get(row.name) ?? null,
      })),
    ...expired
      .filter((one) => isMuchExpired(one, wasTold('expired', one.name)))
      .map((one) => ({ kind: 'expired' as const, ...one })),
    ...listForgotten([...pauses.values()], backlog, now),
    ...idle.map(({ firstRunId, ...one }) => ({
      kind: 'idle' as const,
      ...one,
      first: firstOf(firstRunId ?? `idle ${one.name}`),
    })),
    ...slower.map(({ limitMs: _limitMs, ...one }) => ({
      kind: 'slower' as const,
      ...one,
      first: firstOf(`slower ${one.name}`),
    })),
    ...changed,
    ...listSlow(lanes, jobs, now).filter(({ name }) => !isOfHealth('overrunning', name)),
    ...listGivenUp(letters),
    ...asFound.flat(),
    ...listFew(connections),
    ...lockWaits,
    ...unvacuumed.map((one) => ({ kind: 'unvacuumed' as const, ...describeUnvacuumed(one) })),
  ]
  if (snapshot !== null && isSnapshotOld(snapshot, now, snapshotMs)) {
    const { since, transactions } = snapshot
    const holder = nameSnapshotHolder(snapshot)
    problems.push({ kind: 'oldSnapshot', holder, since, transactions })
  }
  const others = all.slice(names.length).filter((name) => !isAnyAlive || !untaken.includes(name))
  return { problems, workers, lanes, backlog, others }
}

/** What is told as it was found. */
async function told<Kind extends ProblemKind, Found extends object>(
  kind: Kind,
  rows: Promise<readonly Found[]>,
): Promise<({ kind: Kind } & Found)[]> {
  return (await rows).map((row) => ({ kind, ...row }))
}

const NOWHERE = { onHost: null, ofGroup: null }

/** Looks for the first runs that showed what is wrong, by their ids, or where those are not known yet by kind and job. */
async function findFirstRuns(
  reader: JobsReader,
  found: {
    idle: readonly IdleJob[]
    slower: readonly SlowerJob[]
    poison: readonly Poison[]
    failing: readonly JudgedFailing[]
  },
  now: Date,
): Promise<(what: string) => FirstRun | null> {
  const ids = new Map<string, string | null>()
  for (const { firstRunId } of [...found.idle, ...found.poison])
    if (firstRunId !== null) ids.set(firstRunId, firstRunId)
  await Promise.all([
    ...found.idle.map(async ({ name, firstRunId }) => {
      if (firstRunId === null) ids.set(`idle ${name}`, await findIdleSince(reader, name, now))
    }),
    ...found.slower.map(async ({ name, limitMs }) => {
      ids.set(`slower ${name}`, await findSlowSince(reader, name, limitMs, now))
    }),
    ...found.failing.map(async ({ kind, name, recent }) => {
      if (kind === 'recovered') return
      const share = recent ?? { runs: 1, failed: 1 }
      ids.set(`failing ${name}`, await findFailingSince(reader, name, share))
    }),
  ])
  const firsts = await findVersions(
    reader,
    [...ids.values()].filter((id) => id !== null),
  )
  return (what) => firsts.get(ids.get(what) ?? '') ?? null
}

type JudgedFailing =
  | ({ kind: 'failing'; latest: LatestError | null } & Failing)
  | ({ kind: 'recovered'; recent: JobFailures } & Failing)

function listFailing(
  failures: ReadonlyMap<string, JobFailures>,
  lastOf: ReadonlyMap<string, FailedRun & FailedLast>,
  limitsOf: (name: string) => FailureLimits,
): JudgedFailing[] {
  return [...new Set([...failures.keys(), ...lastOf.keys()])].flatMap((name): JudgedFailing[] => {
    const recent = failures.get(name) ?? null
    const last = lastOf.get(name)
    const verdict = judgeFailures(recent, last ?? null, limitsOf(name))
    if (recent === null) {
      if (verdict === null || last === undefined) return []
      const { id: runId, endedAt: since, code, thrown } = last
      return [{ kind: 'failing', name, runId, since, code, thrown, recent, latest: null }]
    }
    const { lastRunId: runId, lastAt: since, code, thrown } = recent
    const item = { name, runId, since, code, thrown, recent }
    if (verdict === 'recovered') return [{ kind: 'recovered', ...item }]
    const latest =
      last === undefined || last.code === code
        ? null
        : { runId: last.id, code: last.code, thrown: last.thrown }
    return verdict === null ? [] : [{ kind: 'failing', ...item, latest }]
  })
}

/** Whether nothing has failed of late except work that loses its workers, which is told by itself. */
function isByPoison({ name, runId, recent }: JudgedFailing, poison: readonly Poison[]): boolean {
  const its = poison.filter((one) => one.name === name)
  if (recent === null) return its.some((one) => one.runId === runId)
  return recent.failed === its.reduce((sum, { recentLosses }) => sum + recentLosses, 0)
}

/** The jobs of which the last run failed by itself, with what is usual. */
export async function findFailedLast(
  reader: JobsReader,
  ended: readonly FailedRun[],
  failures: ReadonlyMap<string, JobFailures>,
  usualFailures: UsualFailures,
  now: Date,
): Promise<Map<string, FailedRun & FailedLast>> {
  const last = ended.filter(({ isLatest, code }) => isLatest && code !== 'guard_blocked')
  const usual = await usualFailures(
    reader,
    last.map(({ name }) => name).filter((name) => !failures.has(name)),
    now,
  )
  return new Map(
    last.map((run) => [
      run.name,
      { ...run, usual: failures.get(run.name)?.usual ?? usual.get(run.name) ?? null },
    ]),
  )
}

function blocked({ id: runId, name, endedAt: since, code, due, isApproved }: FailedRun): Problem[] {
  if (code !== 'guard_blocked' || isApproved || due === null) return []
  const approvableUntil = new Date(Date.parse(since) + DAY_MS).toISOString()
  return [{ kind: 'blocked', name, runId, since, due, approvableUntil }]
}

/** Work that has waited for less is just about to be taken. */
const BACKLOG_FROM_MS = 5_000

/** What has waited for some seconds, the longest wait first. */
export function describeBacklog(
  waiting: readonly Backlog[],
  isPaused: (name: string) => boolean,
  isUntaken: (name: string) => boolean,
  findHeld: (name: string) => HeldSlots | null,
): JudgedBacklog[] {
  return waiting
    .filter(({ oldestMs }) => oldestMs >= BACKLOG_FROM_MS)
    .map((row) => {
      const held = findHeld(row.name)
      const judged = { ...row, isPaused: isPaused(row.name), isUntaken: isUntaken(row.name), held }
      return held === null
        ? judged
        : { ...judged, takenPerSecond: 0, isEven: false, caughtUpInMs: null }
    })
}

/** Paused work is none: somebody wants it to wait, until they have forgotten it. */
function isTooMuch({ oldestMs, caughtUpInMs, isPaused }: JudgedBacklog, wasTold: boolean): boolean {
  if (isPaused || oldestMs < MINUTE_MS) return false
  return caughtUpInMs === null || caughtUpInMs >= (wasTold ? HOUR_MS / 2 : HOUR_MS)
}

function listForgotten(
  pauses: readonly PausedQueue[],
  backlog: readonly JudgedBacklog[],
  now: Date,
): Problem[] {
  return pauses.flatMap(({ name, pausedAt: since, pausedBy: by, pauseReason: reason }) => {
    const { ready: waiting, isCut, oldestMs } = backlog.find((row) => row.name === name) ?? NO_WORK
    const pausedMs = now.getTime() - Date.parse(since)
    if (pausedMs < DAY_MS && Math.min(pausedMs, oldestMs) < HOUR_MS) return []
    return [{ kind: 'pausedQueue' as const, name, since, by, reason, waiting, isCut }]
  })
}

const NO_WORK = { ready: 0, isCut: false, oldestMs: 0 }

/** Of more jobs it is not who floods them. */
const MAX_GROUPED_JOBS = 5

/** Finds of the jobs that wait for longest what most of their due work is. */
async function findMainGroups(
  reader: JobsReader,
  backlog: readonly Backlog[],
): Promise<ReadonlyMap<string, MainGroup | null>> {
  const found = backlog.slice(0, MAX_GROUPED_JOBS).map(async ({ name }) => {
    const groups = await groupWaitingWork(reader, { name, isDue: true })
    return [name, findMainGroup(groups)] as const
  })
  return new Map(await Promise.all(found))
}

/** Finds whether each lane of each living worker that takes the job runs, and none has come free for far longer than is usual. */
export function findHeldSlots(
  name: string,
  {
    workers,
    lanes,
    jobs,
    now,
  }: Pick<Situation, 'workers' | 'lanes'> & { jobs: readonly Job[]; now: Date },
): HeldSlots | null {
  const slotsOf = new Map<string, number>()
  for (const worker of workers) {
    const slots = (worker.lanes as Record<string, unknown> | null)?.[name]
    if (worker.isAlive && typeof slots === 'number') slotsOf.set(worker.id, slots)
  }
  const held = lanes.filter((row) => row.name === name && slotsOf.has(row.workerId))
  const [oldest] = held
  if (oldest === undefined || held.length < slotsOf.size) return null
  if (held.some(({ workerId, count }) => count < (slotsOf.get(workerId) ?? 0))) return null
  const youngest = Math.max(...held.map(({ youngestStartedAt }) => Date.parse(youngestStartedAt)))
  // Where nobody knows what is usual, half of the time-out says it.
  const job = oldest.usualMs === null ? jobOf(jobs, name) : NO_TIMEOUT
  if (now.getTime() - youngest <= slowLimitMs(job, oldest.usualMs)) return null
  const slots = [...slotsOf.values()].reduce((sum, count) => sum + count, 0)
  return { slots, runId: oldest.oldestRunId, since: oldest.oldestStartedAt }
}

/** Nobody knows how long a job may take that left the catalogue. */
const jobOf = (jobs: readonly Job[], name: string) =>
  jobs.find((each) => each.name === name) ?? NO_TIMEOUT

const NO_TIMEOUT = { timeoutMs: Infinity }

function listSlow(lanes: readonly LanesInUse[], jobs: readonly Job[], now: Date) {
  // The rows come longest first, and one for each job is enough.
  const oldest = [...Map.groupBy(lanes, ({ name }) => name).values()].flatMap(
    ([first]) => first ?? [],
  )
  return oldest.flatMap(({ name, oldestRunId: runId, oldestStartedAt: since, usualMs }) => {
    if (now.getTime() - Date.parse(since) <= slowLimitMs(jobOf(jobs, name), usualMs)) return []
    return [{ kind: 'slow' as const, name, runId, since, usualMs }]
  })
}

function listFew(found: FewConnections | null): Problem[] {
  if (found === null) return []
  const { used, most } = found
  return [{ kind: 'connections', used, most, problem: describeConnections(found) }]
}

function listGivenUp(letters: readonly DeadLetterCause[]) {
  return [...Map.groupBy(letters, ({ name }) => name)].map(([name, rows]) => {
    const isCut = rows.some((row) => row.isCut)
    return {
      kind: 'deadLetter' as const,
      name,
      count: rows.reduce((sum, row) => sum + row.count, 0),
      isCut,
      since: isCut ? null : (rows.map(({ firstAt }) => firstAt).toSorted()[0] ?? null),
      causes: rows.map(({ code, thrown, count }) => ({ code, thrown, count })),
    }
  })
}
