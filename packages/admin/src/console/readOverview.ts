import { nextTick, type Job } from '@roundsman/engine'
import {
  countDeadLettersByCause,
  findLastSign,
  describeUnvacuumed,
  isSnapshotOld,
  listUnvacuumed,
  jobsWithoutWorker,
  listFailures,
  listLanesInUse,
  listOrphanedWork,
  MAX_MEASURED,
  measureBacklog,
  nameSnapshotHolder,
  readPausedQueues,
  slowLimitMs,
  withOtherJobs,
  type DeadLetterCause,
  type FailedRun,
  type LanesInUse,
  type OrphanedWork,
} from '@roundsman/engine/internal'
import {
  getOldestSnapshot,
  listWorkers,
  type ListedWorker,
  type JobsReader,
} from '@roundsman/engine/client'
import { readProgress } from '../jobs/readProgress.ts'
import type {
  ConsoleAttention,
  ConsoleBacklog,
  ConsoleFailures,
  ConsoleOverview,
} from '../contract.ts'
import { sumOutcomes, type SpanCounts } from './createSpanCounts.ts'
import type { UsualFailures } from './createUsualFailures.ts'
import { describeSchedules, type JobSchedule } from './describeSchedules.ts'
import { presentBacklog } from './presentBacklog.ts'
import { hasRecovered, needsLooking, readFailures } from './readFailures.ts'

const SECOND_MS = 1_000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
const NEXT_TICKS = 10
/** Living workers give a sign every five seconds. */
const SILENT_AFTER_MS = 15 * SECOND_MS
const MAX_CAUSES = 3

export interface OverviewOptions {
  reader: JobsReader
  jobs: readonly Job[]
  now: Date
  countHours: SpanCounts
  usualFailures: UsualFailures
}

export async function readOverview(options: OverviewOptions): Promise<ConsoleOverview> {
  const { reader, jobs, now, countHours, usualFailures } = options
  const names = jobs.map(({ name }) => name)
  const all = await withOtherJobs(reader, names)
  const [
    workers,
    schedules,
    lanes,
    ended,
    failures,
    waiting,
    pauses,
    untaken,
    orphaned,
    causes,
    hours,
    snapshot,
    unvacuumed,
  ] = await Promise.all([
    listWorkers(reader),
    describeSchedules(reader, jobs, now),
    listLanesInUse(reader),
    listFailures(reader, names, new Date(now.getTime() - DAY_MS)),
    readFailures(reader, names, now, usualFailures),
    measureBacklog(reader, all),
    readPausedQueues(reader),
    jobsWithoutWorker(reader, all),
    listOrphanedWork(reader, names),
    countDeadLettersByCause(reader, all),
    countHours(now),
    getOldestSnapshot(reader),
    listUnvacuumed(reader),
  ])
  const presented = workers.map((worker) => presentWorker(worker, lanes, jobs, now))
  const isAnyAlive = workers.some(({ isAlive }) => isAlive)
  const backlog = presentBacklog(
    waiting,
    (name) => pauses.has(name),
    (name) => isAnyAlive && untaken.includes(name),
  )
  const attention: ConsoleAttention[] = []
  if (!isAnyAlive) {
    attention.push({ kind: 'noWorker', lastSignAt: await findLastSign(reader) })
  }
  attention.push(
    ...schedules.flatMap(lateness),
    ...presented
      .filter(({ isSilent }) => isSilent)
      .map(({ id, lastSignAt }) => ({ kind: 'silent' as const, workerId: id, since: lastSignAt })),
    ...failing(failures, ended),
    ...ended.flatMap(blocked),
    ...overrunning(lanes, jobs, now),
    ...orphaned.map(orphan),
    ...(isAnyAlive
      ? backlog
          .filter((row) => isTooMuch(row) && !orphaned.some(({ name }) => name === row.name))
          .map((row) => ({ kind: 'backlog' as const, ...row }))
      : []),
    ...deadLetters(causes),
    ...unvacuumed.map((one) => ({ kind: 'unvacuumed' as const, ...describeUnvacuumed(one) })),
    ...(snapshot !== null && isSnapshotOld(snapshot, now)
      ? [
          {
            kind: 'oldSnapshot' as const,
            holder: nameSnapshotHolder(snapshot),
            since: snapshot.since,
            transactions: snapshot.transactions,
          },
        ]
      : []),
  )
  const scheduled = schedules.filter(({ schedule }) => schedule !== null)
  return {
    generatedAt: now.toISOString(),
    workers: presented,
    attention,
    backlog,
    nextTicks: schedules
      .flatMap((schedule) => upcoming(schedule, now))
      .toSorted(byTime)
      .slice(0, NEXT_TICKS),
    hours: hours.map(({ from, jobs: rows }) => ({
      from: from.toISOString(),
      ...sumOutcomes(rows),
    })),
    jobs: {
      total: jobs.length,
      scheduled: scheduled.length,
      paused: schedules.filter(({ paused }) => paused !== null).length,
      late: scheduled.filter(({ schedule }) => schedule?.lateMs != null).length,
    },
  }
}

function presentWorker(
  worker: ListedWorker,
  lanes: readonly LanesInUse[],
  jobs: readonly Job[],
  now: Date,
): ConsoleOverview['workers'][number] {
  const { id, startedAt, lastSignAt, liveness, isAlive } = worker
  return {
    id,
    startedAt,
    lastSignAt,
    liveness,
    isAlive,
    isSilent: isAlive && now.getTime() - Date.parse(lastSignAt) > SILENT_AFTER_MS,
    lanes: lanes
      .filter(({ workerId }) => workerId === id)
      .map(({ name, count, oldestRunId, oldestLabel, oldestStartedAt, progress }) => ({
        name,
        inUse: count,
        of: lanesOf(worker, name, jobs),
        oldest: {
          id: oldestRunId,
          label: oldestLabel,
          startedAt: oldestStartedAt,
          progress: readProgress(progress),
        },
      })),
  }
}

/** The worker says so itself. One of an older version does not: the catalogue's number is then the best guess. */
function lanesOf(worker: ListedWorker, name: string, jobs: readonly Job[]): number | null {
  const said = (worker.lanes as Record<string, unknown> | null)?.[name]
  if (Number.isSafeInteger(said)) return said as number
  const job = jobs.find((each) => each.name === name)
  return job?.isExclusive ? 1 : (job?.concurrency ?? null)
}

function lateness({ name, schedule }: JobSchedule): ConsoleAttention[] {
  if (schedule?.lateMs == null || schedule.nextAt === null) return []
  return [{ kind: 'late', name, since: schedule.nextAt, lateMs: schedule.lateMs }]
}

function overrunning(
  lanes: readonly LanesInUse[],
  jobs: readonly Job[],
  now: Date,
): ConsoleAttention[] {
  // The rows come longest first, and one for each job is enough.
  const oldest = [...Map.groupBy(lanes, ({ name }) => name).values()].flatMap(
    ([first]) => first ?? [],
  )
  return oldest.flatMap(({ name, oldestRunId: runId, oldestStartedAt: since, usualMs }) => {
    // Nobody knows how long a job may take that left the catalogue.
    const job = jobs.find((each) => each.name === name) ?? { timeoutMs: Infinity }
    if (now.getTime() - Date.parse(since) <= slowLimitMs(job, usualMs)) return []
    return [{ kind: 'overrunning', name, runId, since, usualMs }]
  })
}

function failing(
  failures: ReadonlyMap<string, ConsoleFailures>,
  ended: readonly FailedRun[],
): ConsoleAttention[] {
  const latest = new Map(
    ended
      .filter(({ isLatest, code }) => isLatest && code !== 'guard_blocked')
      .map((run) => [run.name, run]),
  )
  const items: ConsoleAttention[] = []
  for (const [name, lastHour] of failures) {
    if (!needsLooking(lastHour, latest.has(name))) continue
    const { lastRunId: runId, lastAt: since, code, message } = lastHour
    const last = latest.get(name)
    if (last === undefined && hasRecovered(lastHour)) {
      items.push({ kind: 'recovered', name, runId, since, code, message, lastHour })
      continue
    }
    items.push({
      kind: 'failing',
      name,
      runId,
      since,
      code,
      message,
      lastHour,
      latest:
        last === undefined || last.code === code
          ? null
          : { runId: last.id, code: last.code, message: last.message },
    })
  }
  for (const { id: runId, name, endedAt: since, code, message } of latest.values()) {
    if (failures.has(name)) continue
    items.push({ kind: 'failing', name, runId, since, code, message, lastHour: null, latest: null })
  }
  return items
}

function blocked(row: FailedRun): ConsoleAttention[] {
  const { id: runId, name, endedAt: since, code, due, isApproved } = row
  if (code !== 'guard_blocked' || isApproved || due === null) return []
  const approvableUntil = new Date(Date.parse(since) + DAY_MS).toISOString()
  return [{ kind: 'blocked', name, runId, since, due, approvableUntil }]
}

function orphan({ name, waiting }: OrphanedWork): ConsoleAttention {
  return { kind: 'orphaned', name, waiting, isCut: waiting >= MAX_MEASURED }
}

/** Paused work is no problem: somebody wants it to wait. */
function isTooMuch({ oldestMs, caughtUpInMs, isPaused }: ConsoleBacklog): boolean {
  if (isPaused) return false
  return oldestMs >= MINUTE_MS && (caughtUpInMs === null || caughtUpInMs >= HOUR_MS)
}

function deadLetters(causes: readonly DeadLetterCause[]): ConsoleAttention[] {
  return [...Map.groupBy(causes, ({ name }) => name)].map(([name, rows]) => {
    const isCut = rows.some((row) => row.isCut)
    return {
      kind: 'deadLetters',
      name,
      count: rows.reduce((sum, row) => sum + row.count, 0),
      isCut,
      since: isCut ? null : (rows.map(({ firstAt }) => firstAt).toSorted()[0] ?? null),
      causes: rows
        .slice(0, MAX_CAUSES)
        .map(({ code, message, count }) => ({ code, message, count })),
    }
  })
}

/** A late tick is left out: it stands under what needs attention. */
function upcoming(
  { name, schedule, paused }: JobSchedule,
  now: Date,
): ConsoleOverview['nextTicks'] {
  const next = schedule === null || paused !== null ? null : nextTick(schedule, now)
  return next === null || schedule === null
    ? []
    : [{ name, at: next.toISOString(), timeZone: schedule.timeZone }]
}

function byTime(one: { at: string }, other: { at: string }): number {
  return one.at.localeCompare(other.at)
}
