import { checkLetterFilter, checkWorkToGroup } from '../arguments/queries.ts'
import { aboutValues, isAboutSql, type PieceFilter } from '../queue/pieceFilter.ts'
import { IN_ORDER, LATER } from '../queue/waitingSql.ts'
import type { DeadLetterFilter } from './listDeadLetters.ts'
import { partsAboutSql } from './listWaitingWork.ts'
import type { JobsReader } from './reader.ts'

/** The common value of a group: the key of the work, its label, or a field that its job shows. */
export const GROUPED_BY = ['key', 'label', 'field'] as const

/** Pieces with the same key, the same label, or the same value in a field that their job shows. */
export interface PieceGroup {
  by: (typeof GROUPED_BY)[number]
  /** The shown field. Null if they have the same key or label. */
  field: string | null
  value: string
  count: number
  /**
   * The first enqueueing or failure in the group; ISO 8601 in UTC. Null if not all pieces were read, since it is then unknown.
   */
  oldestAt: string | null
}

export interface PieceGroups {
  /** The number of pieces read: of waiting work the first in the order of claims, of dead letters the latest. */
  looked: number
  /** Whether there are more pieces: the groups contain only those read. */
  isCut: boolean
  /** The fields that they show, 20 at most. */
  fields: string[]
  /** By key, by label, then by each field; the 8 largest of each. A piece with a unique value is in no group. */
  groups: PieceGroup[]
}

/** Maximum of pieces to group: it takes some hundredths of a second, and is enough to find the cause of a flood. */
export const MAX_GROUPED = 10_000
const MAX_GROUPS = 8
const MAX_FIELDS = 20
/** Longer than any label or value that the engine writes. A longer value is in no group. */
const MAX_LENGTH = 1_000

/** Groups the result of `found`: `key`, `label`, `facts` and `at`, with one row more than are read, in their order. */
const groupsSql = (found: string) => `
  with found as materialized (${found}
  ), looked as materialized (
    select * from found limit ${MAX_GROUPED}
  ), counted as (
    select "by", "field", "value", count(*)::int as "count", min("at") as "at",
           row_number() over (partition by "by", "field" order by count(*) desc, "value") as "nth"
    from (
      select 1 as "by", null as "field", "key" as "value", "at" from looked where "key" <> ''
      union all
      select 2, null, "label", "at" from looked where "label" is not null
      union all
      select 3, each."key", each."value", "at" from looked
      cross join lateral jsonb_each_text(
        case when jsonb_typeof("facts" -> 'shown') = 'object' then "facts" -> 'shown' else '{}' end
      ) each where each."value" <> ''
    ) one
    where greatest(length("field"), length("value")) <= ${MAX_LENGTH}
    group by 1, 2, 3
  ), field as materialized (
    select distinct "field" from counted where "field" is not null order by 1 limit ${MAX_FIELDS}
  )
  select of.*, (array['key', 'label', 'field'])[each."by"] as "by", each."field", each."value", each."count", case when not of."isCut" then each."at" end as "oldestAt"
  from (
    select (select count(*)::int from looked) as "looked", (select count(*) from found) > ${MAX_GROUPED} as "isCut",
           array(select "field" from field) as "fields"
  ) of left join (
    select * from counted
    where "count" > 1 and "nth" <= ${MAX_GROUPS} and ("field" is null or "field" in (select "field" from field))
  ) each on true
  order by each."by", each."field", each."nth"`

const workSql = (later: string) =>
  groupsSql(`
    select work."key", work."label", work."facts", work."enqueuedAt" as "at" from ${partsAboutSql('work.*', MAX_GROUPED + 1, { later })}
    order by ${IN_ORDER} limit ${MAX_GROUPED + 1}`)

const GROUP_WORK_SQL = workSql(LATER)
const GROUP_DUE_WORK_SQL = workSql(`${LATER} and work."dueAt" <= now()`)

const GROUP_LETTERS_SQL = groupsSql(`
    select letter."key", letter."label", letter."facts", letter."failedAt" as "at" from "JobDeadLetter" letter
    where ($1::text is null or letter."name" = $1) and ${isAboutSql('letter', 2)} and ($7::text is null or letter."errorCode" = $7)
    order by letter."failedAt" desc, letter."id" desc limit ${MAX_GROUPED + 1}`)

/** Groups waiting work: all of it, or with `isDue` the due work. */
export async function groupWaitingWork(
  reader: JobsReader,
  filter: PieceFilter & { isDue?: boolean | undefined },
): Promise<PieceGroups> {
  const { name, isDue = false, ...about } = checkWorkToGroup(filter)
  const text = isDue ? GROUP_DUE_WORK_SQL : GROUP_WORK_SQL
  return await readGroups(reader, text, [name ?? null, ...aboutValues(about)])
}

export async function groupDeadLetters(
  reader: JobsReader,
  filter: DeadLetterFilter,
): Promise<PieceGroups> {
  const { name, errorCode, ...about } = checkLetterFilter(filter)
  const values = [name ?? null, ...aboutValues(about), errorCode ?? null]
  return await readGroups(reader, GROUP_LETTERS_SQL, values)
}

async function readGroups(
  reader: JobsReader,
  text: string,
  values: unknown[],
): Promise<PieceGroups> {
  const rows = await reader.rows<
    Omit<PieceGroups, 'groups'> & Omit<PieceGroup, 'value'> & { value: string | null }
  >({ text, values })
  const { looked = 0, isCut = false, fields = [] } = rows[0] ?? {}
  const groups = rows.flatMap(({ by, field, value, count, oldestAt }) =>
    value === null ? [] : [{ by, field, value, count, oldestAt }],
  )
  return { looked, isCut, fields, groups }
}
