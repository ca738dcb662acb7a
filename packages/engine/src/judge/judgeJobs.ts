import { checkHealthQuery } from '../arguments/queries.ts'
import type { Job } from '../job/defineJob.ts'
import { getOldestSnapshot, isSnapshotOld, nameSnapshotHolder } from '../read/getOldestSnapshot.ts'
import { groupWaitingWork } from '../read/listGroups.ts'
import { isAnyWorkerAlive, listWorkers, type ListedWorker } from '../read/listWorkers.ts'
import { jobsWithoutWorker, readPausedQueues, withOtherJobs } from '../read/readQueues.ts'
import type { JobsReader } from '../read/reader.ts'
import { listBlockedKeys, listStoppedLimits, type BlockedKey } from './findBlockers.ts'
import { findReadOnly, findUsedUp } from './findDatabase.ts'
import { findDeadLetters } from './findDeadLetters.ts'
import { findEndedWorkers } from './findEndedWorkers.ts'
import { findExpired } from './findExpired.ts'
import { findFailing, isFailing, readFailures } from './findFailing.ts'
import { findBlocked, findExceeded, findInDoubt, findLockWaits, findRefused } from './findLosses.ts'
import { findLate, findNoWorker, findSilent, findUntaken, listOrphans } from './findStopped.ts'
import {
  describeBacklog,
  describeHold,
  findBehind,
  findKeyBlocked,
  findPaused,
  type Blockers,
  type JudgedBacklog,
} from './findWaiting.ts'
import { measureBacklog } from './measureBacklog.ts'
import { inOrder, type Found, type Problem, type ProblemKind } from './problem.ts'
import { listed, many } from './words.ts'

export interface JudgeOptions {
  /** The share of failed runs from which a job counts as failing. */
  failureRate?: number
  /** Whether an alert about this is open: then it ends only well below its limit. */
  wasTold?: (kind: ProblemKind, name: string) => boolean
}

/** The facts that were read to judge the jobs, and their problems. */
export interface Situation {
  /** The worst first. */
  problems: Problem[]
  workers: ListedWorker[]
  /** Work that has waited for some seconds, the longest wait first. */
  backlog: JudgedBacklog[]
  /**
   * Other jobs with rows in the queue that a living worker knows. If no worker lives, all other jobs, since none can be asked.
   */
  others: string[]
}

/** Lists the problems of the jobs of the catalogue, the worst first, with some twenty bounded statements. */
export async function listProblems(
  reader: JobsReader,
  jobs: readonly Job[],
  now: Date,
): Promise<{ problems: Problem[] }> {
  const { problems } = await judgeJobs(reader, jobs, now)
  return { problems }
}

/** Does the same, and also returns the facts that it has read. */
export async function judgeJobs(
  reader: JobsReader,
  catalogue: readonly Job[],
  at: Date,
  { failureRate, wasTold = () => false }: JudgeOptions = {},
): Promise<Situation> {
  const { jobs, now } = checkHealthQuery(reader, catalogue, at)
  const names = jobs.map(({ name }) => name)
  const all = await withOtherJobs(reader, names)
  const [
    readOnly,
    usedUp,
    failures,
    expired,
    letters,
    inDoubt,
    blocked,
    locks,
    refused,
    exceeded,
    pauses,
    keys,
    limits,
  ] = await Promise.all([
    findReadOnly(reader),
    findUsedUp(reader, wasTold('database', '')),
    readFailures(reader, jobs, now),
    findExpired(reader, all, { failureRate, now }),
    findDeadLetters(reader, all, now),
    findInDoubt(reader, now),
    findBlocked(reader, names, now),
    findLockWaits(reader, now),
    findRefused(reader, now),
    findExceeded(reader),
    readPausedQueues(reader),
    listBlockedKeys(reader),
    listStoppedLimits(reader),
  ])
  const failing = await findFailing(
    reader,
    failures.filter((one) =>
      isFailing(one, { failureRate, wasTold: wasTold('failing', one.name) }),
    ),
    now,
  )
  const waiting = await measureBacklog(reader, all, keys)
  // Last: in a transaction they hold locks of workers until it ends, and a worker that reconnects waits for its own lock.
  const [workers, withoutWorker] = await Promise.all([
    listWorkers(reader),
    jobsWithoutWorker(reader, all),
  ])
  const isAnyAlive = workers.some(({ isAlive }) => isAlive)
  const untaken = isAnyAlive ? withoutWorker : []
  const ended = await findEndedWorkers(reader, workers, now)
  const blockers: Blockers = { pauses, keys, limits, untaken }
  const backlog = describeBacklog(waiting, blockers)
  const others = all.slice(names.length).filter((name) => !untaken.includes(name))
  const found = [
    ...usedUp,
    ...exceeded,
    ...ended,
    ...failing,
    ...withoutCause(letters, [...failing, ...ended, ...blocked]),
    ...inDoubt,
    ...blocked,
    ...locks,
    ...refused,
  ]
  // While the database refuses writes or no worker lives, that is the cause of late and waiting work.
  if (readOnly.length > 0) found.push(...readOnly)
  else if (!isAnyAlive) found.push(await findNoWorker(reader, now))
  else {
    const silent = await findSilent(reader, jobs, workers, now)
    const { found: late } = await findLate(reader, jobs, { isAnyAlive, untaken, now })
    const isHeld = heldBySilent(workers, silent)
    const held = backlog.filter(
      ({ name, ready, isPaused, isUntaken }) =>
        ready > 0 && !isPaused && !isUntaken && isHeld(name),
    )
    const [cause] = silent
    if (cause !== undefined && held.length > 0) {
      cause.reach = Math.max(cause.reach, held.length)
      const its = held.map(({ name }) => name)
      addNote(cause, `Work of ${listed(its)} waits, which no other living worker takes.`)
    }
    found.push(
      ...silent,
      ...late,
      ...(await findWithoutWorker(reader, { names, untaken, pauses, backlog, now })),
      ...findBehind(
        backlog.filter(({ name }) => !isHeld(name)),
        blockers,
        { now, wasTold: (name) => wasTold('backlog', name) },
      ),
    )
    await explainBehind(reader, { found, keys, now })
  }
  const keyBlocked = findKeyBlocked(waiting, blockers, now)
  found.push(...findPaused(waiting, blockers, now), ...keyBlocked)
  // A failure is reported together with the work that waits for it.
  const isBehindLetter = ({ kind, jobs: its, count, code }: Found) =>
    (kind === 'deadLetters' || kind === 'failing') &&
    its.length === 1 &&
    keyBlocked.some(
      (one) =>
        one.jobs[0] === its[0] &&
        one.count >= count &&
        (kind === 'deadLetters' || one.code === code),
    )
  found.push(...withoutWait(expired, found, blockers))
  return {
    problems: inOrder(found.filter((one) => !isBehindLetter(one))),
    workers,
    backlog,
    others,
  }
}

/** Removes dead letters that a failing job or an ended worker explains, if there are no more than these account for. */
function withoutCause(letters: readonly Found[], causes: readonly Found[]): Found[] {
  return letters.flatMap((one) => {
    const explains = ({ stage, causes: of = [] }: Found) =>
      stage !== 'over' || one.stage === 'over'
        ? (one.causes ?? []).every(({ name, code, letters: count }) => {
            const its = of.filter((by) => by.name === name && by.code === code)
            return its.reduce((sum, by) => sum + by.letters, 0) >= count
          })
        : false
    const cause = causes.find(explains)
    if (cause === undefined) return [one]
    if (cause.kind === 'failing') {
      const are = one.count === 1 ? 'is a dead letter' : 'are dead letters'
      const of = one.jobs.length < cause.jobs.length ? ` of ${listed(one.jobs)}` : ''
      addNote(cause, `${many(one.count, 'piece')} of work${of} ${are}.`)
    }
    return []
  })
}

/** Removes waiting problems that explain expired work, and reports them as losses. */
function withoutWait(
  expired: readonly Found[],
  found: readonly Found[],
  blockers: Blockers,
): Found[] {
  const waits: readonly ProblemKind[] = ['noWorker', 'silent', 'backlog', 'paused', 'keyBlocked']
  return expired.filter((one) => {
    const [name] = one.jobs as [string]
    one.note = describeHold(name, blockers) ?? one.note
    const cause = found.find(
      ({ kind, jobs }) => waits.includes(kind) && (jobs.length === 0 || jobs.includes(name)),
    )
    if (cause === undefined) return true
    if (cause.stage === 'waiting' && one.stage === 'losing') cause.stage = 'losing'
    addNote(cause, one.text)
    return false
  })
}

const addNote = (to: Found, note: string) => {
  to.note = to.note === null ? note : `${to.note} ${note}`
}

async function findWithoutWorker(
  reader: JobsReader,
  {
    names,
    untaken,
    pauses,
    backlog,
    now,
  }: Pick<Blockers, 'untaken' | 'pauses'> & {
    names: readonly string[]
    backlog: readonly JudgedBacklog[]
    now: Date
  },
): Promise<Found[]> {
  const wanted = untaken.filter((name) => !pauses.has(name))
  const known = backlog.filter(
    ({ name, oldestMs }) => wanted.includes(name) && names.includes(name) && oldestMs >= 60_000,
  )
  const orphans = await listOrphans(
    reader,
    wanted.filter((name) => !names.includes(name)),
  )
  const waiting = known.map(({ name, ready, isReadyCut: isCut, oldestMs }) => {
    const since = new Date(now.getTime() - oldestMs).toISOString()
    return { name, waiting: ready, isCut, since }
  })
  return [
    ...findUntaken(waiting, { isKnown: true, now }),
    ...findUntaken(orphans, { isKnown: false, now }),
  ]
}

/** Whether only silent workers take a job, so that its work waits for them. */
function heldBySilent(workers: readonly ListedWorker[], silent: readonly Found[]) {
  const isSilent = (id: string) => silent.some(({ workerId }) => workerId === id)
  return (name: string) =>
    workers.every(({ id, isAlive, lanes }) => {
      const takes = isAlive && typeof (lanes as Record<string, unknown> | null)?.[name] === 'number'
      return !takes || isSilent(id)
    })
}

/** Maximum of jobs that are behind and get an explanation. */
const MAX_EXPLAINED = 5

/**
 * Adds to jobs that are behind which key or label has most of the work, and who holds an old snapshot, under which the queue's
 * tables grow.
 */
async function explainBehind(
  reader: JobsReader,
  { found, keys, now }: { found: readonly Found[]; keys: readonly BlockedKey[]; now: Date },
): Promise<void> {
  const behind = found.filter(({ kind }) => kind === 'backlog').slice(0, MAX_EXPLAINED)
  if (behind.length === 0) return
  const snapshot = await getOldestSnapshot(reader)
  const cause =
    snapshot === null || !isSnapshotOld(snapshot, now)
      ? null
      : `${nameSnapshotHolder(snapshot)} keeps old rows from being removed, which can slow the queue.`
  for (const one of behind) {
    const [name = ''] = one.jobs
    const { groups, looked, isCut } = await groupWaitingWork(reader, { name, isDue: true })
    // Work of a blocked key does not count.
    const isFree = keys.every((key) => key.name !== name)
    const main = isFree && groups.find(({ by, count }) => by !== 'field' && 2 * count > looked)
    const percent = main && Math.floor((100 * main.count) / looked)
    const whose =
      main && `${percent} % of ${isCut ? 'the first' : 'it'} is ${main.by} ${main.value}.`
    for (const part of [whose, cause]) if (part) addNote(one, part)
  }
}

export interface JobHealth {
  /** The problems that keep jobs from running: `database`, `noWorker`, `silent` and `late`. Empty if there are none. */
  problems: Problem[]
  /** Jobs with a paused schedule, which is no problem. */
  paused: string[]
  /** Jobs with a paused queue, which is no problem either. */
  pausedQueues: string[]
}

/**
 * Finds the problems that keep the jobs of the catalogue from running, with few bounded statements: a monitor may call it every
 * few seconds.
 */
export async function getJobHealth(
  reader: JobsReader,
  catalogue: readonly Job[],
  at: Date,
): Promise<JobHealth> {
  const { jobs, now } = checkHealthQuery(reader, catalogue, at)
  const names = jobs.map(({ name }) => name)
  const [readOnly, isAnyAlive, pauses, all] = await Promise.all([
    findReadOnly(reader),
    isAnyWorkerAlive(reader),
    readPausedQueues(reader),
    withOtherJobs(reader, names),
  ])
  const untaken = isAnyAlive ? await jobsWithoutWorker(reader, all) : []
  const { found: late, paused } = await findLate(reader, jobs, { isAnyAlive, untaken, now })
  const others = untaken.filter((name) => !names.includes(name) && !pauses.has(name))
  const found =
    readOnly.length > 0
      ? readOnly
      : isAnyAlive
        ? [
            ...(await findSilent(reader, jobs, await listWorkers(reader), now)),
            ...late,
            ...findUntaken(await listOrphans(reader, others), { isKnown: false, now }),
          ]
        : [await findNoWorker(reader, now)]
  return { problems: inOrder(found), paused, pausedQueues: [...pauses.keys()] }
}
