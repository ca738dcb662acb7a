import { thrownOf, boundedText } from '../read/bounded.ts'
import type { JobsReader } from '../read/reader.ts'
import { MAX_COUNTED } from '../queue/waitingSql.ts'
import { FEW } from './findFailing.ts'
import type { Found } from './problem.ts'
import { counted, inWords, listed, many, spanSince } from './words.ts'

interface Letters {
  name: string
  count: number
  isCut: boolean
  /** The instants of the first and the last dead letter; ISO 8601 in UTC. */
  firstAt: string
  lastAt: string
  /** Dead letters of the last hour and, among the latest, of the last 15 minutes, and the job's starts in these. */
  ofHour: number
  isHourCut: boolean
  recent: number
  recentRuns: number
  /** The most frequent code of the last hour, or the latest, and the class and frame of the last error with it. */
  code: string
  thrown: string
}

/** Maximum of the latest dead letters of each job whose codes are read. */
const MAX_LOOKED = 1_000

const HOUR_AGO = `(select $2::timestamptz - interval '1 hour')`
/** Counts up to one more than the maximum, `known` of them from before. */
const countLetters = (which: string, known = '0') => `(
    select ${known} + count(*) as count from (
      select from "JobDeadLetter" letter where letter."name" = job.name and ${which} limit ${MAX_COUNTED + 1} - ${known}
    ) one
  )`
const atMost = (of: string, name: string, isCut: string) =>
  `least(${of}.count, ${MAX_COUNTED})::int as "${name}", ${of}.count > ${MAX_COUNTED} as "${isCut}"`

const LETTERS_SQL = `
  select job.name, ${atMost('total', 'count', 'isCut')}, ${atMost('of_hour', 'ofHour', 'isHourCut')}, first.at as "firstAt",
         latest."lastAt", latest."recent", ${boundedText('latest."code"')} as "code", runs.count as "recentRuns",
         coalesce(thrown.text, '') as "thrown"
  from unnest($1::text[]) job(name)
  cross join lateral (
    select "failedAt" as at from "JobDeadLetter" letter where letter."name" = job.name order by "failedAt", "id" limit 1
  ) first
  cross join lateral ${countLetters(`letter."failedAt" >= ${HOUR_AGO}`)} of_hour
  cross join lateral ${countLetters(`letter."failedAt" < ${HOUR_AGO}`, 'of_hour.count')} total
  cross join lateral (
    select max("failedAt") as "lastAt", (count(*) filter (where "failedAt" >= $2::timestamptz - interval '15 minutes'))::int as "recent",
           coalesce(mode() within group (order by "errorCode") filter (where "failedAt" >= $2::timestamptz - interval '1 hour'),
             mode() within group (order by "errorCode")) as "code"
    from (
      select "failedAt", "errorCode" from "JobDeadLetter" letter
      where letter."name" = job.name order by "failedAt" desc, "id" desc limit ${MAX_LOOKED}
    ) letter
  ) latest
  cross join lateral (
    select count(*)::int as count from (
      select from "JobRun" where "name" = job.name and "startedAt" >= $2::timestamptz - interval '15 minutes' limit ${MAX_LOOKED}
    ) run
  ) runs
  left join lateral (
    select ${thrownOf('run."details"')} as text from (
      select "id" from "JobDeadLetter" letter where letter."name" = job.name and letter."errorCode" = latest."code"
      order by "failedAt" desc, "id" desc limit 1
    ) letter join "JobRun" run on run."workId" = letter."id" order by run."attempt" desc, run."startedAt" desc limit 1
  ) thrown on true
  order by of_hour.count desc, total.count desc, job.name`

/** Finds the dead letters of these jobs. If one error made dead letters of several jobs, that is one problem. */
export async function findDeadLetters(
  reader: JobsReader,
  names: readonly string[],
  now: Date,
): Promise<Found[]> {
  const rows = await reader.rows<Letters>({
    text: LETTERS_SQL,
    values: [names, now.toISOString()],
  })
  const groups = Map.groupBy(rows, ({ name, code, thrown, ofHour }) =>
    thrown.includes('at ') ? `${ofHour > 0} ${code} ${thrown}` : `job ${name}`,
  )
  return [...groups.values()].map((group): Found => {
    const [{ code, thrown }] = group as [Letters]
    const sum = (part: 'count' | 'ofHour' | 'recent' | 'recentRuns') =>
      group.reduce((total, one) => total + one[part], 0)
    const jobs = group.map(({ name }) => name)
    const [count, ofHour, isCut] = [sum('count'), sum('ofHour'), group.some((one) => one.isCut)]
    const isHourCut = group.some((one) => one.isHourCut)
    const lastAt = group
      .map((one) => one.lastAt)
      .toSorted()
      .at(-1) as string
    const since = group.map(({ firstAt }) => firstAt).toSorted()[0] as string
    const last =
      ofHour > 0
        ? `${counted(ofHour, isHourCut)} in the last hour`
        : `the last ${spanSince(lastAt, now)} ago`
    const what = many(count, 'dead letter', isCut)
    const looked = ofHour > 0 ? ofHour : count
    const often = `${looked > MAX_LOOKED ? `of the last ${counted(MAX_LOOKED)} ` : ''}most often `
    const error = `${looked === 1 ? '' : often}with ${code}${thrown === '' ? '' : ` (${thrown})`}`
    return {
      kind: 'deadLetters',
      stage: ofHour > 0 ? 'losing' : 'over',
      jobs,
      text: `${listed(jobs)} ${jobs.length === 1 ? 'has' : 'have'} ${what}, ${last}, ${error}.`,
      note: `Retry or discard ${count === 1 ? 'it' : 'them'}. The oldest was given up ${inWords(now.getTime() - Date.parse(since))} ago.`,
      since,
      lastAt,
      code,
      count,
      isCut,
      reach: ofHour < FEW ? 0.5 : jobs.length,
      share: Math.min(1, sum('recent') / Math.max(1, sum('recentRuns'))),
      causes: group.map(({ name, code: own, count: letters }) => ({ name, code: own, letters })),
    }
  })
}
