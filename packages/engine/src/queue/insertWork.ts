import type { Connection } from '../database/database.ts'
import { toFacts, type Envelope } from './envelope.ts'
import { PLACE_SQL, rankOf } from './place.ts'
import { MAX_INLINE_BYTES } from './queueTables.ts'
import { SEND_KEYED_MARK, SEND_MARK, SEND_ONE_MARK, SEND_PLAIN_MARK } from '../database/schema.ts'
import { TablesError } from '../database/tablesError.ts'
import { isSomewhereSql, runningKeyedSql } from './uniqueKeys.ts'

/** A piece of work to be put into the queue, under an id of the caller's. */
export interface WorkToInsert {
  id: string
  name: string
  envelope: Envelope
  /** The length of the payload's JSON. */
  bytes: number
  /** Default: it can be taken at once. */
  startAfter?: Date | undefined
  /** Default 0. */
  priority?: number | undefined
  /** Default: none. */
  uniqueKey?: string | undefined
  /** Under which it has its share; empty: under none. Default: its job has no keys. */
  key?: string | undefined
}

export interface Inserted {
  /** The transaction that inserted it: others see it once that has committed. Null when nothing was inserted. */
  transactionId: string | null
  /**
   * By the id of each piece with a unique key, the id of the work that has the key: its own when it was inserted. A piece is
   * missing when other work took the key meanwhile, which the next statement sees, or the work that has it is nowhere.
   */
  holders: ReadonlyMap<string, string>
}

/**
 * Puts work of any jobs into the queue with one statement, and leaves out pieces whose unique keys other work has. It notifies
 * no worker: the commit of the caller's transaction would wait for all others that notify (see waker.ts). Pieces with keys come
 * in the order of their keys, so that two transactions with the same keys do not wait for each other.
 * @throws TablesError where there are no tables
 */
export async function insertWork(
  connection: Connection,
  work: readonly WorkToInsert[],
): Promise<Inserted> {
  const [one] = work
  if (one === undefined) return { transactionId: null, holders: new Map() }
  const [text, values] = chooseStatement(work, one)
  try {
    const { rows } = await connection.query<InsertedRow>(text, values)
    const holders = new Map<string, string>()
    for (const { id, holderId } of rows)
      if (id != null && holderId != null) holders.set(id, holderId)
    return { transactionId: rows[0]?.transactionId ?? null, holders }
  } catch (error) {
    throw isOfMissingTable(error)
      ? new TablesError('missing', connection.schema.name, [], error)
      : error
  }
}

/** Work without unique keys meets no other work, so its statement reads no other table, whose statistics may be missing. */
function chooseStatement(
  work: readonly WorkToInsert[],
  one: WorkToInsert,
): [text: string, values: unknown[]] {
  const hasKeys = work.some(({ uniqueKey }) => uniqueKey !== undefined)
  if (work.length === 1) {
    if (hasKeys) return [INSERT_KEYED_SQL, toTexts(one, false)]
    if (one.bytes <= MAX_INLINE_BYTES) return [INSERT_ONE_SQL, toTexts(one, true)]
  }
  return [hasKeys ? INSERT_LIST_SQL : INSERT_PLAIN_SQL, [toJson(work)]]
}

interface InsertedRow {
  [column: string]: unknown
  transactionId: string | null
  id?: string | null
  holderId?: string | null
}

/** The input of WORK_SQL. */
export function toJson(work: readonly WorkToInsert[]): string {
  return JSON.stringify(
    work.map(({ envelope, priority = 0, ...piece }) => {
      const { label, payload } = envelope
      return { ...piece, rank: rankOf(priority), label, facts: toFacts(envelope), payload }
    }),
  )
}

/** The parameters of ONE_SQL. All are texts, which drivers pass on unchanged. */
function toTexts(work: WorkToInsert, isPlain: boolean): (string | null | undefined)[] {
  const { id, name, envelope, bytes, startAfter, priority = 0, uniqueKey, key } = work
  const facts = toFacts(envelope)
  const texts = [
    id,
    name,
    String(rankOf(priority)),
    startAfter?.toISOString() ?? null,
    String(bytes),
    envelope.label ?? null,
    facts && JSON.stringify(facts),
    JSON.stringify(envelope.payload) as string | undefined,
    key ?? null,
  ]
  return isPlain ? texts : [...texts, uniqueKey ?? null]
}

/** Whether a table was missing. Libraries wrap PostgreSQL's error, some more than once. */
function isOfMissingTable(error: unknown, depth = 0): boolean {
  if (typeof error !== 'object' || error === null || depth === MAX_CAUSES) return false
  const { code, kind, ...wrapped } = error as Record<string, unknown>
  // Prisma's adapters have their own name for it.
  if (code === UNDEFINED_TABLE || kind === 'TableDoesNotExist') return true
  const { cause = (error as Error).cause, meta, driverAdapterError } = wrapped
  return [cause, meta, driverAdapterError].some((inner) => isOfMissingTable(inner, depth + 1))
}

const UNDEFINED_TABLE = '42P01'
const MAX_CAUSES = 4

/** The columns that an insert of work fills. */
export const INSERTED = `"id", "name", "rank", "place", "dueAt", "bytes", "uniqueKey", "key", "label", "facts", "payload", "payloadId"`

/** Due work gets a place at once. */
export const placeOf = (due: string) => `case when ${due} > now() then null else ${PLACE_SQL} end`
const dueOf = (startAfter: string) => `greatest(${startAfter}, now())`
/** Where the payload of a piece is: in its row, or in the row of JobPayload that has the id of the piece with which it came. */
export const payloadOf = (piece: string) =>
  `case when ${piece}."bytes" <= ${MAX_INLINE_BYTES} then ${piece}."payload" end, case when ${piece}."bytes" > ${MAX_INLINE_BYTES} then ${piece}."id" end`

/** Pieces of `work`, in the order in which the caller made their ids. */
const insertedSql = (which: string) => `
    insert into "JobWork" (${INSERTED})
    select "id", "name", "rank", ${placeOf('"startAfter"')}, ${dueOf('"startAfter"')}, "bytes", "uniqueKey", "key", "label", "facts",
      ${payloadOf('work')}
    from work where ${which} order by "id"`

const ONE = [
  'uuid',
  'text',
  'int',
  'timestamptz',
  'int',
  'text',
  'jsonb',
  'jsonb',
  'text',
  'text',
].map((type, index) => `$${index + 1}::text::${type}`)

const START_AFTER = String(ONE[3])

/** Without a unique key nothing can be in its way. In a caller's transaction PostgreSQL plans it each time, so it is as plain as can be. */
const INSERT_ONE_SQL = `${SEND_ONE_MARK}
  insert into "JobWork" ("id", "name", "rank", "place", "dueAt", "bytes", "label", "facts", "payload", "key")
  values (${ONE[0]}, ${ONE[1]}, ${ONE[2]}, ${placeOf(START_AFTER)}, ${dueOf(START_AFTER)}, ${ONE.slice(4, 9).join(', ')})
  returning pg_current_xact_id()::text as "transactionId"`

const COLUMNS = `"id", "name", "rank", "startAfter", "bytes", "label", "facts", "payload", "key", "uniqueKey"`

/** A single piece, for a third less than a list with one in it, which PostgreSQL would read and sort. */
const ONE_SQL = `(values (${ONE.join(', ')}, 1)) as work(${COLUMNS}, "position")`

/** A list, with its order as `position`. A payload that is JSON's null arrives as no value, as one that is undefined does. */
export const listSql = (more = '', moreColumns = '') => `(
    select ${COLUMNS.replace('"payload"', `case when "bytes" > 0 then coalesce("payload", 'null') end as "payload"`)}${moreColumns}, "position"
    from rows from (json_to_recordset($1::text::json) as (
      "id" uuid, "name" text, "rank" int, "startAfter" timestamptz, "bytes" int, "label" text, "facts" jsonb, "payload" jsonb,
      "key" text, "uniqueKey" text${more}
    )) with ordinality as list(${COLUMNS}${moreColumns}, "position")
  ) work`

/** A CTE, to be closed, that stores the long payloads of `pieces`; `workId`: the column with the id of their work. */
export const longSql = (pieces: string, workId: string, which: string) => `long as (
    insert into "JobPayload" ("id", "workId", "payload")
    select "id", "${workId}", "payload" from ${pieces} where "bytes" > ${MAX_INLINE_BYTES} and ${which}`

/**
 * A key that other work holds is waited for while that is not committed, and then left alone. It asks by `in`, within an
 * expression: PostgreSQL hashes the list then, where it might walk it once for each piece in a join.
 * Race: packages/engine/test/queue/lockedUniqueKeys.test.ts "is free after its work, where that transaction has only met it"
 */
const insertSql = (work: string, onConflict: string, running: string, more = '') => `
  with work as materialized (
    select * from ${work}
  ), taken as (
    insert into "JobUnique" ("name", "key", "workId")
    select "name", "uniqueKey", "id" from work where "uniqueKey" is not null order by "position"
    on conflict ${onConflict} returning "workId"
  ), inserted as (${insertedSql(`"uniqueKey" is null or "id" in (select "workId" from taken)`)}
    returning "id"
  ), ${longSql('work', 'id', 'coalesce("id" in (select "id" from inserted), false)')}
  ), transaction as (
    select pg_current_xact_id()::text as id from inserted limit 1
  )${more}
  select (select id from transaction) as "transactionId", null as "id", null as "holderId"
  union all
  select (select id from transaction), "id"::text, case when "id" in (select "workId" from taken) then "id" else (
      select held."workId" from "JobUnique" held
      where held."name" = work."name" and held."key" = work."uniqueKey" and ${isSomewhereSql('held."workId"', running)}
    ) end::text
  from work where "uniqueKey" is not null`

/** For one piece it reads the claims that list its key. */
const OF_ITS_KEY = `claim."name" = work."name" and claim."uniqueKeys" @> array[work."uniqueKey"]`
const INSERT_KEYED_SQL = `${SEND_KEYED_MARK}${insertSql(ONE_SQL, 'do nothing', runningKeyedSql(OF_ITS_KEY))}`

/**
 * Locks the row without changing it. Otherwise a key could come free after this transaction has taken greater keys. It would then
 * wait for a transaction that has taken the free key and waits for the greater ones.
 */
const LOCK_ONLY = '("name", "key") do update set "workId" = null where false'
/** A list reads all claims once. A plan that reads them for each piece looks so costly that PostgreSQL compiles it, which takes a second. */
const RUNNING = `, running as materialized (${runningKeyedSql()}
  )`
const INSERT_LIST_SQL = `${SEND_MARK}${insertSql(listSql(), LOCK_ONLY, 'select "workId" from running', RUNNING)}`

const INSERT_PLAIN_SQL = `${SEND_PLAIN_MARK}
  with work as materialized (
    select * from ${listSql()}
  ), inserted as (${insertedSql('true')}
  ), ${longSql('work', 'id', 'true')}
  )
  select pg_current_xact_id()::text as "transactionId"`
