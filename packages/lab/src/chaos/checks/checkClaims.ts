import type { Check } from './checkGuarantees.ts'
import { numbers } from './checkTickJobs.ts'

/** By what it holds a run is found once its worker is dead: one that nobody holds would run for ever. */
export const checkClaims: Check = async (database, { samples, claims }) => {
  const seen = samples.reduce((sum, { running }) => sum + running, 0)
  const astray = samples.reduce((sum, each) => sum + each.astray, 0)
  const { rows } = await database.query<Record<'unheld' | 'strange', string>>(
    `select (select count(*) from "JobRun" where "status" = 'running'
               and "id" not in (select unnest("runIds") from "JobClaim")) as unheld,
            (select count(*) from "JobClaim" where "workerId" <> all($1)) as strange`,
    [claims.workers],
  )
  const { unheld, strange } = numbers(rows[0])
  return {
    guarantee: 'G2',
    name: 'what runs is held by exactly one claim, and what a dead worker held was let go',
    isPassed: seen > 0 && astray + unheld + strange + claims.ofDead === 0,
    figures: `${seen} runs seen running, ${astray} of them not held by one claim; ${claims.ofDead} claims of dead workers were left once all was done, ${strange} of others at the end, and ${unheld} runs without one`,
  }
}
