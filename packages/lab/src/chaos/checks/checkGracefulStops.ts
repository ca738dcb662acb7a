import type { Check } from './checkGuarantees.ts'
import { numbers } from './checkTickJobs.ts'

/**
 * A worker that was asked to end exits with 0. One that was left in peace meanwhile leaves nothing for the
 * rescue. None ends that was not asked to.
 */
export const checkGracefulStops: Check = async (database, { fleet }) => {
  const { gracefulStops, crashes } = fleet
  const undisturbed = gracefulStops.filter(({ isUndisturbed }) => isUndisturbed)
  const { rows } = await database.query<Record<'left', string>>(
    `select count(*) as left
     from unnest($1::text[], $2::timestamptz[]) stop("workerId", at)
     join "JobRun" run on run."workerId" = stop."workerId"
     left join "ChaosRunEnd" ended on ended."runId" = run."id"
     where run."status" = 'running'
        or run."details" -> 'error' ->> 'code' = 'worker_lost' and ended."at" > stop.at`,
    [undisturbed.map(({ workerId }) => workerId), undisturbed.map(({ at }) => new Date(at))],
  )
  const { left } = numbers(rows[0])
  const bad = gracefulStops.filter(({ exit }) => exit.code !== 0)
  const exits = bad.map(({ exit }) => exit.signal ?? exit.code).join(', ')
  return {
    guarantee: 'G8',
    name: 'a worker that is asked to end exits with 0 and leaves no run behind; none ends by itself',
    isPassed: gracefulStops.length > 0 && bad.length + left + crashes.length === 0,
    figures: `${gracefulStops.length} asked, ${bad.length} ended otherwise${exits && ` (${exits})`}, ${left} runs left behind; ${crashes.length} ended by themselves`,
  }
}
