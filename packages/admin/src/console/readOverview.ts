import { nextTick, type Job } from '@roundsman/engine'
import { judgeJobs, listLanesInUse, listVersionStarts } from '@roundsman/engine/internal'
import type { JobsReader } from '@roundsman/engine/client'
import type { ConsoleOverview } from '../contract.ts'
import { sumOutcomes, type SpanCounts } from './createSpanCounts.ts'
import { describeSchedules, type JobSchedule } from './describeSchedules.ts'
import { presentWorker } from './readWorkers.ts'

const NEXT_TICKS = 10

export interface OverviewOptions {
  reader: JobsReader
  jobs: readonly Job[]
  now: Date
  countHours: SpanCounts
}

export async function readOverview(options: OverviewOptions): Promise<ConsoleOverview> {
  const { reader, jobs, now, countHours } = options
  const [{ problems, workers, backlog }, lanes, schedules, hours] = await Promise.all([
    judgeJobs(reader, jobs, now),
    listLanesInUse(reader),
    describeSchedules(reader, jobs, now),
    countHours(now),
  ])
  const versions = await listVersionStarts(reader, hours[0]?.from ?? now)
  const scheduled = schedules.filter(({ schedule }) => schedule !== null)
  return {
    generatedAt: now.toISOString(),
    workers: workers.map((worker) => presentWorker(worker, lanes, jobs, now)),
    attention: problems,
    backlog,
    nextTicks: schedules
      .flatMap((schedule) => upcoming(schedule, now))
      .toSorted((one, other) => one.at.localeCompare(other.at))
      .slice(0, NEXT_TICKS),
    hours: hours.map(({ from, jobs: rows }) => ({
      from: from.toISOString(),
      ...sumOutcomes(rows),
    })),
    versions,
    jobs: {
      total: jobs.length,
      scheduled: scheduled.length,
      paused: schedules.filter(({ paused }) => paused !== null).length,
      late: scheduled.filter(({ schedule }) => schedule?.lateMs != null).length,
    },
  }
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
