import { checkWorkFilter, checkWorkQuery, type WORK_ORDERS } from '../arguments/queries.ts'
import { GREATEST_RANK, LEAST_RANK } from '../queue/place.ts'
import { aboutValues, isAboutSql, type PieceFilter } from '../queue/pieceFilter.ts'
import {
  IN_ORDER,
  IN_PLACE,
  IN_TIME,
  LATER,
  MAX_COUNTED,
  READY,
  SUSPECT,
} from '../queue/waitingSql.ts'
import type { PagePosition, JobsReader } from './reader.ts'
import { DELAYED, DUE_PARTS, GREATEST_PLACE, NAMES_OF_WORK } from './workOfJobs.ts'

/** Work that no worker has taken yet, or that waits for a retry. Its payload stays in the database. */
export interface WaitingWork {
  /** The id of the work, which each of its runs carries. */
  workId: string
  name: string
  label: string | null
  /** The key of the work; empty if it has none, null if its job has no keys. */
  key: string | null
  /** No worker takes it before this instant. Instants are ISO 8601 in UTC. */
  startAfter: string
  /** Whether `startAfter` has come. */
  isDue: boolean
  enqueuedAt: string
  /** The number of its attempts. */
  attempts: number
  /** Higher starts sooner. */
  priority: number
  hasUniqueKey: boolean
  /** No attempt starts after it. Null if it never expires. */
  expiresAt: string | null
}

export interface WaitingWorkQuery extends PieceFilter {
  /** 1 to 10,000. */
  limit: number
  /**
   * The last work of the previous page: the list continues after it. If a worker has taken it, the page begins with the now
   * first work.
   */
  after?: PagePosition | undefined
  /** Default: `first`, in the order of claims. `last`: reversed, the latest due at the top. */
  order?: 'first' | 'last' | undefined
}

const LEAST_ID = '00000000-0000-0000-0000-000000000000'
const GREATEST_ID = 'ffffffff-ffff-ffff-ffff-ffffffffffff'

/** The jobs to read: `$1`, or all with waiting work. */
const JOBS = `(select names.name from (${NAMES_OF_WORK}) names where $1::text is null or names.name = $1::text) job`

/**
 * The first pieces of each part that match `$2` to `$6`, each part in its order, as `work`. `placed`: a condition for pieces
 * with a place.
 */
export const partsAboutSql = (
  columns: string,
  limit: number,
  { later = LATER, placed = 'true' } = {},
) => {
  const part = (where: string, order: string) => `(
      select ${columns} from "JobWork" work where work."name" = job.name and ${where} and ${isAboutSql('work', 2)}
      order by ${order} limit ${limit}
    )`
  return `${JOBS} cross join lateral (
      ${part(`${READY} and ${placed}`, IN_PLACE)} union all ${part(`${SUSPECT} and ${placed}`, IN_PLACE)} union all ${part(later, IN_TIME)}
    ) work`
}

const pageSql = (part: string, after: string, order: string) => `(
    select work.* from "JobWork" work where work."name" = job.name and ${part} and ${after} and ${isAboutSql('work', 5)}
    order by ${order} limit $4::int
  )`

/**
 * Lists `$4` pieces of waiting work of job `$1` (null: any) that match `$5` to `$9`, after the work with the id `$3`, which was
 * due at `$2` (null: from the start). First due work in the order of claims, then the rest in the order of due times. Or all of
 * it reversed, with the same indexes.
 */
function listSql(order: (typeof WORK_ORDERS)[number]): string {
  const isFirst = order === 'first'
  const after = isFirst ? '>' : '<'
  const turned = (columns: string) => (isFirst ? columns : columns.replaceAll(/,|$/g, ' desc$&'))
  const part = (where: string, columns: string, start: string) =>
    pageSql(where, `(${columns}) ${after} (${start})`, turned(columns))
  const inPlace = (where: string) => part(where, IN_PLACE, 'start."rank", start."place"')
  return `
  with start as materialized (
    select case when "isLater" then ${GREATEST_RANK} else coalesce(last."rank", ${isFirst ? LEAST_RANK : GREATEST_RANK}) end as "rank",
           case when "isLater" then ${GREATEST_PLACE} else coalesce(last."place", ${isFirst ? 0 : GREATEST_PLACE}) end as "place",
           case when "isLater" then coalesce($2::timestamptz, 'infinity') else '-infinity' end as at,
           case when "isLater" then coalesce($3::uuid, '${GREATEST_ID}') else '${LEAST_ID}' end as id
    from (select) one left join "JobWork" last on last."id" = $3::uuid cross join lateral (
      select coalesce(last."place" is null and (last."id" is not null or $2::timestamptz > now()), ${!isFirst}) as "isLater"
    ) which
  )
  select work."id"::text as "workId", work."name", work."label", work."key", work."dueAt" as "startAfter",
         work."place" is not null or work."dueAt" <= now() as "isDue", work."enqueuedAt", work."attempt" - 1 as "attempts",
         -work."rank" as "priority", work."uniqueKey" is not null as "hasUniqueKey",
         (work."facts" ->> 'expiresAt')::timestamptz as "expiresAt"
  from start cross join ${JOBS} cross join lateral (
    ${inPlace(READY)}
    union all ${inPlace(SUSPECT)}
    union all ${part(LATER, IN_TIME, 'start.at, start.id')}
  ) work
  order by ${turned(IN_ORDER)}
  limit $4::int`
}

export const LIST_WAITING_WORK_SQL = { first: listSql('first'), last: listSql('last') }

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
             ) work limit ${MAX_COUNTED + 1}
           ) one
         ) as "count"`

/** The same for work that matches `$2` to `$6`. Only a key has an index: for a label, all waiting work is read once. */
export const SUM_LABELLED_WORK_SQL = `
  select least(${MAX_COUNTED + 1}, coalesce(sum(of.count), 0))::int as "count",
         coalesce(array_agg(of."name" order by of."name"), '{}') as "names"
  from (
    select work."name", count(*) as count from "JobWork" work
    where ${isAboutSql('work', 2)} and ($1::text is null or work."name" = $1::text) group by 1
  ) of`

/** Lists waiting work: due work in the order of claims, then the rest, the earliest due first; or reversed. */
export async function listWaitingWork(
  reader: JobsReader,
  query: WaitingWorkQuery,
): Promise<{ work: WaitingWork[]; next: PagePosition | null }> {
  const { limit, after, order = 'first', ...filter } = checkWorkQuery(reader, query)
  const rows = await reader.rows<WaitingWork>({
    text: LIST_WAITING_WORK_SQL[order],
    values: [
      filter.name ?? null,
      after?.at ?? null,
      after?.id ?? null,
      limit + 1,
      ...aboutValues(filter),
    ],
  })
  const work = rows.slice(0, limit)
  const last = rows.length > limit ? work.at(-1) : undefined
  return { work, next: last ? { at: last.startAfter, id: last.workId } : null }
}

/** Counts waiting work. Exact up to 100,000, which also stands for more. */
export async function countWaitingWork(reader: JobsReader, filter: PieceFilter): Promise<number> {
  return (await sumWaitingWork(reader, filter)).count
}

/** Counts waiting work up to 100,000, and returns its jobs, also those no longer in the catalogue. */
export async function sumWaitingWork(
  reader: JobsReader,
  filter: PieceFilter,
): Promise<{ count: number; isCut: boolean; names: string[] }> {
  const { name = null, ...of } = checkWorkFilter(filter)
  const about = aboutValues(of)
  const isOfAll = about.every((value) => value === null)
  const [found] = await reader.rows<{ count: number; names: string[] }>({
    text: isOfAll ? SUM_WAITING_WORK_SQL : SUM_LABELLED_WORK_SQL,
    values: isOfAll ? [name] : [name, ...about],
  })
  const { count = 0, names = [] } = found ?? {}
  return { count: Math.min(count, MAX_COUNTED), isCut: count > MAX_COUNTED, names }
}
