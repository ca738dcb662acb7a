import { checkHealthQuery } from '../arguments/queries.ts'
import type { Job } from '../job/defineJob.ts'
import { getOldestSnapshot, isSnapshotOld, nameSnapshotHolder } from '../read/getOldestSnapshot.ts'
import { groupWaitingWork } from '../read/listGroups.ts'
import { isAnyWorkerAlive, listWorkers, type ListedWorker } from '../read/listWorkers.ts'
import { jobsWithoutWorker, readPausedQueues, withOtherJobs } from '../read/readQueues.ts'
import type { JobsReader } from '../read/reader.ts'
import { listBlockedKeys, listStoppedLimits } from './findBlockers.ts'
import { findReadOnly, findUsedUp } from './findDatabase.ts'
import { findDeadLetters } from './findDeadLetters.ts'
import { findEndedWorkers } from './findEndedWorkers.ts'
import { findFailing, isFailing, readFailures } from './findFailing.ts'
import { findBlocked, findExceeded, findLockWaits, findRefused } from './findLosses.ts'
import { findLate, findNoWorker, findSilent, findUntaken, listOrphans } from './findStopped.ts'
import {
  describeBacklog,
  findBehind,
  findKeyBlocked,
  findPaused,
  type Blockers,
  type JudgedBacklog,
} from './findWaiting.ts'
import { measureBacklog } from './measureBacklog.ts'
import { inOrder, type Found, type Problem, type ProblemKind } from './problem.ts'

export interface JudgeOptions {
  /** Which share of a job's runs is too much to fail. */
  failureRate?: number
  /** Whether an alert about this has been raised: then it is over only well below its limit. */
  wasTold?: (kind: ProblemKind, name: string) => boolean
}

/** What was read to judge the jobs, and what is wrong. */
export interface Situation {
  /** The worst first. */
  problems: Problem[]
  workers: ListedWorker[]
  /** What has waited for some seconds, the longest wait first. */
  backlog: JudgedBacklog[]
  /** The other jobs of which the queue holds anything, and that a living worker knows, or nobody can tell since none lives. */
  others: string[]
}

/** Lists what is wrong with the jobs of the catalogue, the worst first, by some twenty bounded statements. */
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
  { failureRate, wasTold = () => false }: JudgeOptions = {},
): Promise<Situation> {
  const { jobs, now } = checkHealthQuery(reader, catalogue, at)
  const names = jobs.map(({ name }) => name)
  const all = await withOtherJobs(reader, names)
  const [
    readOnly,
    usedUp,
    failures,
    letters,
    ended,
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
    readFailures(reader, names, now),
    findDeadLetters(reader, all, now),
    findEndedWorkers(reader, now),
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
  // Last: in a transaction they hold locks of workers until it ends, and a worker that comes back waits for its own.
  const [workers, withoutWorker] = await Promise.all([
    listWorkers(reader),
    jobsWithoutWorker(reader, all),
  ])
  const isAnyAlive = workers.some(({ isAlive }) => isAlive)
  const untaken = isAnyAlive ? withoutWorker : []
  const blockers: Blockers = { pauses, keys, limits, untaken }
  const backlog = describeBacklog(waiting, blockers)
  const others = all.slice(names.length).filter((name) => !untaken.includes(name))
  const found = [
    ...usedUp,
    ...exceeded,
    ...ended,
    ...failing,
    ...withoutCause(letters, failing),
    ...blocked,
    ...locks,
    ...refused,
  ]
  // While nothing can be written or no worker lives, what is late or waits has that cause.
  if (readOnly.length > 0) found.push(...readOnly)
  else if (!isAnyAlive) found.push(await findNoWorker(reader, now))
  else {
    const silent = await findSilent(reader, jobs, workers, now)
    const { found: late } = await findLate(reader, jobs, true, now)
    const isHeld = heldBySilent(workers, silent)
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
    await explainBehind(reader, found, now)
  }
  const keyBlocked = findKeyBlocked(waiting, blockers, now)
  found.push(...findPaused(waiting, blockers, now), ...keyBlocked)
  const isBehindLetter = ({ kind, jobs: its, count }: Found) =>
    kind === 'deadLetters' &&
    its.length === 1 &&
    keyBlocked.some((one) => one.jobs[0] === its[0] && one.count >= count)
  return {
    problems: inOrder(found.filter((one) => !isBehindLetter(one))),
    workers,
    backlog,
    others,
  }
}

/** Dead letters of runs that fail now have the cause of these, where there are no more than failures. */
function withoutCause(letters: readonly Found[], failing: readonly Found[]): Found[] {
  return letters.flatMap((one) => {
    const cause = failing.find(
      ({ stage, code, jobs, count }) =>
        stage !== 'over' &&
        code === one.code &&
        one.count <= count &&
        one.jobs.every((name) => jobs.includes(name)),
    )
    if (cause === undefined) return [one]
    cause.note = `${one.count.toLocaleString('en')} ${one.count === 1 ? 'piece' : 'pieces'} of work ${one.count === 1 ? 'is a dead letter' : 'are dead letters'}.`
    return []
  })
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
  const waiting = known.map(({ name, ready, isCut, oldestMs }) => {
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

/** So many jobs that are behind are explained. */
const MAX_EXPLAINED = 5

/** Says of jobs that are behind whose work most of it is, and who holds an old snapshot: the queue's tables grow meanwhile. */
async function explainBehind(
  reader: JobsReader,
  found: readonly Found[],
  now: Date,
): Promise<void> {
  const behind = found.filter(({ kind }) => kind === 'backlog').slice(0, MAX_EXPLAINED)
  if (behind.length === 0) return
  const snapshot = await getOldestSnapshot(reader)
  const cause =
    snapshot === null || !isSnapshotOld(snapshot, now)
      ? null
      : `${nameSnapshotHolder(snapshot)} keeps old rows from being removed, which slows the queue.`
  for (const one of behind) {
    const [name = ''] = one.jobs
    const { groups, looked, isCut } = await groupWaitingWork(reader, { name, isDue: true })
    const main = groups.find(({ by, count }) => by !== 'field' && 2 * count > looked)
    const percent = main && Math.floor((100 * main.count) / looked)
    const whose =
      main && `${percent} % of ${isCut ? 'the first' : 'it'} is ${main.by} ${main.value}.`
    one.note = [one.note, whose, cause].filter((part) => part != null).join(' ') || null
  }
}

export interface JobHealth {
  /** What keeps jobs from being done: `noWorker`, `silent` and `late`. Empty when all is well. */
  problems: Problem[]
  /** Jobs whose schedules somebody has paused, which is no problem. */
  paused: string[]
  /** Jobs whose queues somebody has paused, which is no problem either. */
  pausedQueues: string[]
}

/** Finds what keeps the jobs of the catalogue from being done, by few bounded statements: a monitor may ask every few seconds. */
export async function getJobHealth(
  reader: JobsReader,
  catalogue: readonly Job[],
  at: Date,
): Promise<JobHealth> {
  const { jobs, now } = checkHealthQuery(reader, catalogue, at)
  const names = jobs.map(({ name }) => name)
  const [isAnyAlive, pauses, all] = await Promise.all([
    isAnyWorkerAlive(reader),
    readPausedQueues(reader),
    withOtherJobs(reader, names),
  ])
  const { found: late, paused } = await findLate(reader, jobs, isAnyAlive, now)
  const others = all.slice(names.length).filter((name) => !pauses.has(name))
  const found = isAnyAlive
    ? [
        ...(await findSilent(reader, jobs, await listWorkers(reader), now)),
        ...late,
        ...findUntaken(await listOrphans(reader, await jobsWithoutWorker(reader, others)), {
          isKnown: false,
          now,
        }),
      ]
    : [await findNoWorker(reader, now)]
  return { problems: inOrder(found), paused, pausedQueues: [...pauses.keys()] }
}
