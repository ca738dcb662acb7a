import type { Job } from '@roundsman/engine'
import { listJobActions, measureDuration, type Reader } from '@roundsman/engine/client'
import type { ConsoleJobDetail } from './consoleContract.ts'
import type { JobDays } from './createJobDays.ts'
import { describeUpcoming } from './describeUpcoming.ts'
import { readJobs } from './readJobs.ts'

const MAX_ACTIONS = 20

export async function readJobDetail(
  reader: Reader,
  wanted: Job,
  now: Date,
  readDays: JobDays,
): Promise<ConsoleJobDetail> {
  const [[job], days, duration, actions] = await Promise.all([
    readJobs(reader, [wanted], now),
    readDays(wanted.name, now),
    measureDuration(reader, wanted.name),
    listJobActions(reader, wanted.name, MAX_ACTIONS),
  ])
  if (!job) throw new Error(`${wanted.name} is not among the jobs that were read`)
  const upcoming =
    job.schedule && !job.paused
      ? describeUpcoming(job.schedule, now)
      : { upcoming: [], isCut: false }
  return {
    job,
    days,
    duration,
    ...upcoming,
    actions,
  }
}
