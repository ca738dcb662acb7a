import { checkLimit, checkParts, checkPosition, checkText, optional } from '../job/argument.ts'
import { IN_PLACE, IN_TIME, LATER, MAX_COUNTED, READY, SUSPECT } from '../store/waitingSql.ts'
import type { PagePosition, JobsReader } from './reader.ts'
import {
  DELAYED,
  DUE_PARTS,
  GREATEST_PLACE,
  GREATEST_RANK,
  LEAST_RANK,
  NAMES_OF_WORK,
} from './workOfJobs.ts'

/** Work that no worker has taken yet, or that is to be retried. Its payload stays in the database. */
export interface WaitingWork {
  /** The id of the work, which each of its runs carries. */
  workId: string
  name: string
  label: string | null
  /** No worker takes it before. Instants are ISO 8601 in UTC. */
  startAfter: string
  /** Whether `startAfter` has come. */
  isDue: boolean
  enqueuedAt: string
  /** How many attempts there were. */
  attempts: number
  /** Higher starts sooner. */
  priority: number
  hasUniqueKey: boolean
  /** No attempt starts after it; null: it never expires. */
  expiresAt: string | null
}

export interface WaitingWorkQuery {
  limit: number
  name?: string | undefined
  /** Only work with this label. */
  label?: string | undefined
  /** Only work whose label contains this, in upper or lower case. */
  labelPart?: string | undefined
  /** Only work after this one. Where a worker has taken that meanwhile, the page begins with what is first by now. */
  after?: PagePosition | undefined
}

const FILTER = {
  name: optional(checkText),
  label: optional(checkText),
  labelPart: optional(checkText),
}
const QUERY = { ...FILTER, limit: checkLimit, after: optional(checkPosition) }

const LEAST_ID = '00000000-0000-0000-0000-000000000000'

/** The jobs to look at: `$1`, or all that have waiting work. */
const JOBS = `(select names.name from (${NAMES_OF_WORK}) names where $1::text is null or names.name = $1::text) job`

const HAS_LABEL = (label: string, part: string) =>
  `(${label}::text is null or work."label" = ${label}::text)
   and (${part}::text is null or strpos(lower(work."label"), lower(${part}::text)) > 0)`

const pageSql = (part: string, after: string, order: string) => `(
    select work.* from "JobWork" work where work."name" = job.name and ${part} and ${after} and ${HAS_LABEL('$5', '$6')}
    order by ${order} limit $4::int
  )`
const AFTER_PLACE = `(${IN_PLACE}) > (start."rank", start."place")`
const AFTER_TIME = `(${IN_TIME}) > (start.at, start.id)`

/**
 * Lists `$4` pieces of waiting work of job `$1` (null: any) with the label `$5` or the part of one `$6` (null: any) after that with the id `$3`, which
 * was due at `$2` (null: from the first): what workers take first at the top, then the rest as it becomes due.
 */
export const LIST_WAITING_WORK_SQL = `
  with start as materialized (
    select case when "isLater" then ${GREATEST_RANK} else coalesce(last."rank", ${LEAST_RANK}) end as "rank",
           case when "isLater" then ${GREATEST_PLACE} else coalesce(last."place", 0) end as "place",
           case when "isLater" then $2::timestamptz else '-infinity' end as at,
           case when "isLater" then $3::uuid else '${LEAST_ID}' end as id
    from (select) one left join "JobWork" last on last."id" = $3::uuid cross join lateral (
      select coalesce(last."place" is null and (last."id" is not null or $2::timestamptz > now()), false) as "isLater"
    ) which
  )
  select work."id"::text as "workId", work."name", work."label", work."dueAt" as "startAfter",
         work."place" is not null or work."dueAt" <= now() as "isDue", work."enqueuedAt", work."attempt" - 1 as "attempts",
         -work."rank" as "priority", work."uniqueKey" is not null as "hasUniqueKey",
         (work."facts" ->> 'expiresAt')::timestamptz as "expiresAt"
  from start cross join ${JOBS} cross join lateral (
    ${pageSql(READY, AFTER_PLACE, IN_PLACE)}
    union all ${pageSql(SUSPECT, AFTER_PLACE, IN_PLACE)}
    union all ${pageSql(LATER, AFTER_TIME, IN_TIME)}
  ) work
  order by work."place" is null, case when work."place" is not null then work."rank" end, work."place", ${IN_TIME}
  limit $4::int`

/** Counts waiting work of job `$1` (null: any), and names its jobs. */
export const SUM_WAITING_WORK_SQL = `
  select array(select job.name from ${JOBS} order by 1) as "names", (
           select count(*)::int from (
             select from ${JOBS} cross join lateral (
               ${[...DUE_PARTS, DELAYED]
                 .map(
                   (part) => `select from "JobWork" work where work."name" = job.name and ${part}`,
                 )
                 .join(' union all ')}
             ) work limit ${MAX_COUNTED}
           ) one
         ) as "count"`

/** The same, of the work with the label `$2` or the part `$3`. No index holds labels: all that waits is read once. */
export const SUM_LABELLED_WORK_SQL = `
  select least(${MAX_COUNTED}, coalesce(sum(of.count), 0))::int as "count",
         coalesce(array_agg(of."name" order by of."name"), '{}') as "names"
  from (
    select work."name", count(*) as count from "JobWork" work
    where ${HAS_LABEL('$2', '$3')} and ($1::text is null or work."name" = $1::text) group by 1
  ) of`

/** Lists waiting work: what is due, in the order in which workers take it, then the rest, the earliest due first. */
export async function listWaitingWork(
  reader: JobsReader,
  query: WaitingWorkQuery,
): Promise<{ work: WaitingWork[]; next: PagePosition | null }> {
  const { limit, name, label, labelPart, after } = checkParts('query', query, QUERY)
  const rows = await reader.rows<WaitingWork>({
    text: LIST_WAITING_WORK_SQL,
    values: [
      name ?? null,
      after?.at ?? null,
      after?.id ?? null,
      limit + 1,
      label ?? null,
      labelPart ?? null,
    ],
  })
  const work = rows.slice(0, limit)
  const last = rows.length > limit ? work.at(-1) : undefined
  return { work, next: last ? { at: last.startAfter, id: last.workId } : null }
}

/** Counts waiting work. Exact up to 100,000, which also stands for more. */
export async function countWaitingWork(
  reader: JobsReader,
  filter: Omit<WaitingWorkQuery, 'limit' | 'after'>,
): Promise<number> {
  return (await sumWaitingWork(reader, filter)).count
}

/** Counts waiting work likewise, and names the jobs that it is of, also those that have left the catalogue. */
export async function sumWaitingWork(
  reader: JobsReader,
  filter: Omit<WaitingWorkQuery, 'limit' | 'after'>,
): Promise<{ count: number; names: string[] }> {
  const { name = null, label = null, labelPart = null } = checkParts('filter', filter, FILTER)
  const isOfAll = label === null && labelPart === null
  const [found] = await reader.rows<{ count: number; names: string[] }>({
    text: isOfAll ? SUM_WAITING_WORK_SQL : SUM_LABELLED_WORK_SQL,
    values: isOfAll ? [name] : [name, label, labelPart],
  })
  return found ?? { count: 0, names: [] }
}
