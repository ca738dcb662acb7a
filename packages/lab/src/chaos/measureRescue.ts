import type { Queryable } from '../openPool.ts'
import { distribution, type Distribution } from '../statistics.ts'
import type { Kill } from './createChaosFleet.ts'

export interface RescueTimes {
  /** From SIGKILL to the end of each run that it cost. */
  ended: Distribution
  /** From SIGKILL to the start of the next attempt. */
  redelivered: Distribution
}

export interface RescueFigures {
  all: RescueTimes
  /** Only kills at which another worker was there, undisturbed, to notice. */
  withRescuer: RescueTimes
}

/**
 * Measures how long the runs of killed workers took to be ended and to start again. By PostgreSQL's clock, because the
 * workers' own jump.
 */
export async function measureRescue(
  database: Queryable,
  kills: readonly Kill[],
): Promise<RescueFigures> {
  const { rows } = await database.query<{
    hasRescuer: boolean
    endedMs: number
    redeliveredMs: number | null
  }>(
    `select kill."hasRescuer",
            (extract(epoch from ended."at" - kill.at) * 1000)::float8 as "endedMs",
            (extract(epoch from next."createdAt" - kill.at) * 1000)::float8 as "redeliveredMs"
     from unnest($1::text[], $2::timestamptz[], $3::bool[]) kill("workerId", at, "hasRescuer")
     join "JobRun" run on run."workerId" = kill."workerId"
     join "ChaosRunEnd" ended on ended."runId" = run."id"
     left join lateral (
       select min("createdAt") as "createdAt" from "JobRun" later
       where later."workId" = run."workId" and later."attempt" > run."attempt"
     ) next on true
     where run."details" -> 'error' ->> 'code' = 'worker_lost' and ended."at" > kill.at`,
    [
      kills.map(({ workerId }) => workerId),
      kills.map(({ at }) => new Date(at)),
      kills.map(({ hasRescuer }) => hasRescuer),
    ],
  )
  const times = (of: typeof rows): RescueTimes => ({
    ended: distribution(of.map(({ endedMs }) => endedMs)),
    redelivered: distribution(of.flatMap(({ redeliveredMs }) => redeliveredMs ?? [])),
  })
  return { all: times(rows), withRescuer: times(rows.filter(({ hasRescuer }) => hasRescuer)) }
}
