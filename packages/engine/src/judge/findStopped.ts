import { isScheduled, type Job } from '../job/defineJob.ts'
import { countQueue } from '../read/getQueueStats.ts'
import { listLateSchedules } from '../read/listKeyedSchedules.ts'
import { GRACE_MS, judgeSchedule, listSchedules, type ScheduleRow } from '../read/listSchedules.ts'
import { findLastSign, isWorkerSilent, type ListedWorker } from '../read/listWorkers.ts'
import type { JobsReader } from '../read/reader.ts'
import { listOverrunning } from '../read/runsUnderWay.ts'
import type { Found } from './problem.ts'
import { listed, many, spanSince, waits } from './words.ts'

export async function findNoWorker(reader: JobsReader, now: Date): Promise<Found> {
  const since = await findLastSign(reader)
  const last = since === null ? '' : ` The last sign of one came ${spanSince(since, now)} ago.`
  return {
    ...{ kind: 'noWorker', stage: 'stopped', jobs: [], since, count: 0, isCut: false },
    text: `No worker is running, so no job is scheduled or run.${last}`,
    note: 'Start a worker process, or look into its log. Missed runs follow each job’s policy.',
    ...{ isUnhealthy: true, reach: Infinity, share: 1 },
  }
}

/** Work that no living worker takes, of jobs in the catalogue or no longer in it. */
export interface Untaken {
  name: string
  waiting: number
  isCut: boolean
  since: string | null
}

/** Counts the waiting work, also for later, of jobs outside the catalogue that no living worker takes. */
export async function listOrphans(
  reader: JobsReader,
  names: readonly string[],
): Promise<Untaken[]> {
  if (names.length === 0) return []
  const counts = await countQueue(reader, names)
  return counts
    .filter(({ waiting }) => waiting > 0)
    .map(({ name, waiting, isWaitingCut: isCut, oldestWaitingAt: since }) => {
      return { name, waiting, isCut, since }
    })
}

/** Jobs that no living worker has are one problem: a version is missing. */
export function findUntaken(
  untaken: readonly Untaken[],
  { isKnown, now }: { isKnown: boolean; now: Date },
): Found[] {
  if (untaken.length === 0) return []
  const jobs = untaken.map(({ name }) => name)
  const count = untaken.reduce((sum, { waiting }) => sum + waiting, 0)
  const isCut = untaken.some((one) => one.isCut)
  const since = untaken.flatMap((one) => one.since ?? []).toSorted()[0] ?? null
  const oldest =
    since === null ? '' : `${count === 1 ? ',' : ', the oldest'} for ${spanSince(since, now)}`
  return [
    {
      ...{ kind: 'noWorker', stage: 'waiting', jobs, since, count, isCut },
      text: isKnown
        ? `No living worker takes ${listed(jobs)}: ${waits(count, isCut)}${oldest}.`
        : `No living worker takes ${listed(jobs)}, and this catalogue does not have ${jobs.length === 1 ? 'it' : 'them'}: ${waits(count, isCut)}${oldest}.`,
      ...(!isKnown && { isUnhealthy: true }),
      note: isKnown
        ? 'Start a worker that takes it, or look why the living ones leave it out.'
        : 'Start a worker that still has the job, or cancel the work.',
      ...{ reach: jobs.length, share: 1 },
    },
  ]
}

/** Finds living workers without a sign of life, and runs that their worker does not end. */
export async function findSilent(
  reader: JobsReader,
  jobs: readonly Job[],
  workers: readonly ListedWorker[],
  now: Date,
): Promise<Found[]> {
  const living = workers.filter(({ isAlive }) => isAlive)
  const silent = living.filter((worker) => isWorkerSilent(worker, now))
  const overrunning = await listOverrunning(
    reader,
    jobs.map(({ name, timeoutMs }) => ({
      name,
      before: new Date(now.getTime() - timeoutMs - GRACE_MS),
    })),
  )
  const all = silent.length === living.length
  const found = silent.map(({ id, lastSignAt }): Found => {
    const its = overrunning.filter(({ workerId }) => workerId === id).map(({ name }) => name)
    const beyond = its.length === 0 ? '' : ` A run of ${listed(its)} goes on beyond its time-out.`
    return {
      ...{ kind: 'silent', stage: all ? 'stopped' : 'waiting', jobs: its, since: lastSignAt },
      text: `Worker ${id} lives, but has given no sign for ${spanSince(lastSignAt, now)}.${beyond}`,
      note: `It is stopped, or a handler blocks it. If it stays silent, end ${processOf(id)}: other workers take over its work.`,
      workerId: id,
      ...{
        count: 1,
        isCut: false,
        isUnhealthy: true,
        reach: all ? Infinity : Math.max(1, its.length),
        share: 1,
      },
    }
  })
  const others = overrunning.filter(({ workerId }) => silent.every(({ id }) => id !== workerId))
  for (const { name, runId, since, workerId } of others)
    found.push({
      ...{ kind: 'silent', stage: 'waiting', jobs: [name], since, runId, workerId },
      text: `A run of ${name} has been running for ${spanSince(since, now)}, beyond its time-out, and its worker does not end it.`,
      note: 'Its handler blocks the worker, or the worker is cut off. End its process: other workers take over its work.',
      ...{ count: 1, isCut: false, isUnhealthy: true, reach: 1, share: 1 },
    })
  return found
}

/**
 * Finds ticks that no worker has decided, and schedules that no worker has started with. `untaken`: jobs that no living worker
 * takes.
 */
export async function findLate(
  reader: JobsReader,
  jobs: readonly Job[],
  { isAnyAlive, untaken, now }: { isAnyAlive: boolean; untaken: readonly string[]; now: Date },
): Promise<{ found: Found[]; paused: string[] }> {
  const names = jobs.filter(isScheduled).map(({ name }) => name)
  const [rows, keyed] = await Promise.all([
    listSchedules(reader, names),
    listLateSchedules(reader, now),
  ])
  const late = [
    ...[...rows.values()].flatMap((row: ScheduleRow) => {
      const { next, lateMs } = judgeSchedule(row, now)
      return next === null || lateMs === null
        ? []
        : [{ name: row.name, since: next.toISOString(), key: null }]
    }),
    ...keyed,
  ].toSorted((one, other) => one.since.localeCompare(other.since))
  const unscheduled = isAnyAlive ? names.filter((name) => !rows.has(name)) : []
  return {
    found: [
      ...toLate(late, { isTaken: !late.every(({ name }) => untaken.includes(name)), now }),
      ...toUnscheduled(unscheduled),
    ],
    paused: [...rows.values()].filter(({ pausedAt }) => pausedAt !== null).map(({ name }) => name),
  }
}

function toLate(
  late: readonly { name: string; since: string; key: string | null }[],
  { isTaken, now }: { isTaken: boolean; now: Date },
): Found[] {
  const [first] = late
  if (first === undefined) return []
  const { since, key } = first
  const jobs = [...new Set(late.map(({ name }) => name))]
  const which = key === null ? '' : `, schedule ${key}`
  const text =
    jobs.length === 1
      ? `A tick of ${jobs[0]}${which} was due ${spanSince(since, now)} ago, and no worker has decided it.`
      : `No worker has decided ticks of ${listed(jobs)}; the first was due ${spanSince(since, now)} ago.`
  return [
    {
      ...{ kind: 'late', stage: 'waiting', jobs, text, since, count: late.length, isCut: false },
      note: isTaken
        ? 'Look into the log of a worker that has the job. A run now does not replace the tick.'
        : 'No living worker takes the job: start one that does.',
      ...(key !== null && { key }),
      ...{ isUnhealthy: true, reach: jobs.length, share: 1 },
    },
  ]
}

function toUnscheduled(jobs: readonly string[]): Found[] {
  if (jobs.length === 0) return []
  return [
    {
      ...{ kind: 'noWorker', stage: 'waiting', jobs: [...jobs], since: null, isCut: false },
      text: `No worker schedules ${listed(jobs)}: ${many(jobs.length, 'schedule')} of this catalogue ${jobs.length === 1 ? 'is' : 'are'} unknown to the living workers.`,
      note: 'If they run another version, deploy the workers too.',
      ...{ count: jobs.length, isUnhealthy: true, reach: jobs.length, share: 1 },
    },
  ]
}

/** The host and the process number, with which a worker's id begins. */
function processOf(workerId: string): string {
  const [host, pid] = workerId.split(':')
  return pid === undefined ? 'its process' : `process ${pid} on ${host}`
}
