import type { Envelope } from './envelope.ts'
import type { Connection } from './database.ts'
import { SEND_KEYED_MARK, SEND_MARK, SEND_ONE_MARK } from './schema.ts'
import { TablesError } from './tablesState.ts'
import { HOLDS_KEY } from './uniqueKeys.ts'

/** A piece of work to be put into its queue, under an id of the caller's. */
export interface WorkToSend {
  id: string
  name: string
  envelope: Envelope
  /** Default: it can be taken at once. */
  startAfter?: Date | undefined
  /** Default 0. */
  priority?: number | undefined
  /** Default: none. */
  uniqueKey?: string | undefined
}

export interface Sent {
  /** The ids of the pieces that were inserted; null for many pieces when the caller did not ask. */
  ids: string[] | null
  /** The transaction that inserted them: others see them once it has committed. Null when nothing was inserted. */
  transactionId: string | null
}

/** pg-boss knows no queues of these names in this database. */
export class QueueMissingError extends Error {
  override readonly name = 'QueueMissingError'
  readonly jobs: readonly string[]

  constructor(jobs: readonly string[]) {
    super(
      `The queue of ${jobs.join(', ')} is missing in this database: run npx roundsman migrate, or start a worker that has the job`,
    )
    this.jobs = jobs
  }
}

/** With more pieces, sending their ids back takes time. */
const FEW = 100

/**
 * Puts work of any jobs into their queues with one statement. It notifies no worker: the commit of the caller's transaction
 * would wait for all others that notify (see waker.ts).
 * @throws QueueMissingError which names all queues that are missing. The caller's transaction must not be committed then.
 * @throws TablesError where there are no tables at all
 */
export async function sendWork(
  connection: Connection,
  work: readonly WorkToSend[],
  { returnIds = false } = {},
): Promise<Sent> {
  const isListed = returnIds || work.length <= FEW
  const [one] = work
  const [text, values] =
    one !== undefined && work.length === 1
      ? [one.uniqueKey === undefined ? SEND_ONE_SQL : SEND_KEYED_SQL, toColumns(one)]
      : [isListed ? SEND_AND_LIST_SQL : SEND_SQL, [toJson(work)]]
  const send = async () => (await connection.query<SentRow>(text, values)).rows
  const rows = await send().catch((error: unknown) => {
    throw isOfMissingTable(error)
      ? new TablesError('missing', connection.schema.name, [], error)
      : error
  })
  const sent = new Set(isListed ? rows.map(({ id }) => id) : [])
  // Pieces with a key may be missing because other work holds it.
  const isShort = isListed
    ? work.some(({ id, uniqueKey }) => uniqueKey === undefined && !sent.has(id))
    : rows[0]?.count !== work.length
  if (isShort || rows.length === 0) await expectQueues(connection, work)
  // A missing queue may have been created meanwhile: send again. Pieces that are there stay as they are.
  if (isShort) rows.push(...(await send()))
  return {
    ids: isListed ? rows.map(({ id }) => id) : null,
    transactionId: rows[0]?.transactionId ?? null,
  }
}

/** What WORK_SQL reads. */
function toJson(work: readonly WorkToSend[]): string {
  return JSON.stringify(work.map(({ envelope, ...piece }) => ({ ...piece, data: envelope })))
}

/** What ONE_SQL reads: texts, of which no driver makes anything else. */
function toColumns(work: WorkToSend): (string | null)[] {
  const { id, name, envelope, startAfter, priority = null, uniqueKey = null } = work
  const at = startAfter?.toISOString() ?? null
  return [
    id,
    name,
    JSON.stringify(envelope),
    at,
    priority === null ? null : String(priority),
    uniqueKey,
  ]
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

interface SentRow {
  [column: string]: unknown
  id: string
  count: number
  transactionId: string
}

async function expectQueues(connection: Connection, work: readonly WorkToSend[]): Promise<void> {
  const names = [...new Set(work.map(({ name }) => name))]
  const { rows } = await connection.query<{ missing: string }>(FIND_MISSING_SQL, [names])
  if (rows.length > 0) throw new QueueMissingError(rows.map(({ missing }) => missing))
}

const FIND_MISSING_SQL = `
  select wanted.name as "missing" from unnest($1::text[]) wanted(name)
  where not exists (select from pgboss.queue queue where queue.name = wanted.name) order by 1`

/** The work that had the unique key of a piece. */
export interface KeyHolder {
  id: string
  isRunning: boolean
}

export interface SentReplacing {
  transactionId: string
  /** Whether some of it can be taken now. */
  isDue: boolean
  /** Keyed by the ids of the pieces. A piece is missing when nobody held its key. */
  holders: Map<string, KeyHolder>
}

/**
 * Puts work with unique keys into its queue, each key once. A piece whose envelope says `replaces` replaces work that waits
 * with its key, and takes the key from work that runs, which is then not retried. Other pieces leave such work alone.
 * @throws QueueMissingError as sendWork
 */
export async function sendReplacing(
  connection: Connection,
  work: readonly WorkToSend[],
): Promise<SentReplacing> {
  const pieces = toJson(work)
  const send = async () => (await connection.query<ReplacedRow>(REPLACE_SQL, [pieces])).rows
  let rows = await send()
  if (rows.length < work.length) {
    await expectQueues(connection, work)
    rows = await send()
  }
  const byKey = new Map(rows.map((row) => [row.key, row]))
  const holders = new Map<string, KeyHolder>()
  for (const { id, uniqueKey = '' } of work) {
    const row = byKey.get(uniqueKey)
    if (row === undefined)
      throw new Error(
        `The work with the unique key ${uniqueKey} ended while this was enqueued; enqueue it again`,
      )
    const { holderId, isRunning } = row
    if (holderId !== id) holders.set(id, { id: holderId, isRunning })
  }
  return {
    transactionId: rows[0]?.transactionId ?? '',
    isDue: rows.some(({ isDue }) => isDue),
    holders,
  }
}

interface ReplacedRow {
  [column: string]: unknown
  key: string
  /** The work that held the key before, or, where none did, the one that holds it now. */
  holderId: string
  isRunning: boolean
  isDue: boolean
  transactionId: string
}

/** From now on at the earliest: what pg-boss keeps for ten years from 1970 on, it deletes at once. Null counts for nothing. */
const START_AFTER = `greatest(work."startAfter", now())`

/**
 * Inserts rows as pg-boss's send() makes them: it copies the queue's settings, and the rest is the table's default. The parent
 * table finds the queue's partition. In a caller's transaction PostgreSQL plans it each time, which takes longer than the
 * insert itself, so every part of it costs all who enqueue. `from` yields `work` in the caller's order, which is sorted so
 * that two transactions with the same keys do not deadlock.
 */
const insertSql = (from: string, startAfter = START_AFTER) => `
  insert into pgboss.job as held (
    id, name, data, start_after, created_on, keep_until, priority, singleton_key, expire_seconds, deletion_seconds,
    retry_limit, retry_delay, retry_backoff, retry_delay_max, policy, dead_letter, heartbeat_seconds
  )
  select work.id, queue.name, work.data, ${startAfter}, now(),
    ${START_AFTER} + queue.retention_seconds * interval '1 second', coalesce(work.priority, 0),
    work."uniqueKey", queue.expire_seconds, queue.deletion_seconds, queue.retry_limit, queue.retry_delay,
    queue.retry_backoff, queue.retry_delay_max, queue.policy, queue.dead_letter, queue.heartbeat_seconds
  from ${from}
    join pgboss.queue queue on queue.name = work.name
  order by work.place`

const WORK_SQL = `rows from (json_to_recordset($1::text::json) as (
    id uuid, name text, data jsonb, "startAfter" timestamptz, priority int, "uniqueKey" text
  )) with ordinality as work(id, name, data, "startAfter", priority, "uniqueKey", place)`

/** A single piece, for a third less than a list with one in it, which PostgreSQL would read and sort. */
const ONE_SQL = `(
    select $1::text::uuid as id, $2::text as name, $3::text::jsonb as data, $4::text::timestamptz as "startAfter",
           $5::text::int as priority, $6::text as "uniqueKey", 1 as place
  ) work`

const INSERT_SQL = `${insertSql(WORK_SQL)}
  on conflict do nothing`

const LISTED = 'returning id::text as "id", pg_current_xact_id()::text as "transactionId"'
const SEND_AND_LIST_SQL = `${SEND_MARK}${INSERT_SQL}
  ${LISTED}`
/** Without a unique key nothing can be in its way, and PostgreSQL writes less log for a row that it need not take back. */
const SEND_ONE_SQL = `${SEND_ONE_MARK}${insertSql(ONE_SQL)}
  ${LISTED}`
const SEND_KEYED_SQL = `${SEND_KEYED_MARK}${insertSql(ONE_SQL)}
  on conflict do nothing
  ${LISTED}`

const SEND_SQL = `
  with sent as (${INSERT_SQL} returning 1)
  select count(*)::int as "count", pg_current_xact_id()::text as "transactionId" from sent`

const latestSql = (since: string, data: string) =>
  `${since} + (${data} -> 'replaces' ->> 'maxWaitMs')::float8 * interval '1 millisecond'`
const REPLACES = `excluded.data -> 'replaces' is not null`
const replaced = (column: string, value: string) =>
  `${column} = case when ${REPLACES} and held.state < 'active' then ${value} else held.${column} end`

/**
 * Inserts row by row, in the order of the keys. A row that meets work with its key waits for whoever is changing that, a claim
 * included: it sees the final state, and no claim takes that work before this transaction has ended. Replaced work that has
 * had attempts gets a new work's retries on top, so that the numbers of its attempts stay unique.
 */
const REPLACE_SQL = `
  with work as materialized (
    select * from ${WORK_SQL}
  ), met as (
    ${insertSql('work', `least(${START_AFTER}, ${latestSql('now()', 'work.data')})`)}
    on conflict (name, singleton_key) where ${HOLDS_KEY} do update set
      singleton_key = case when ${REPLACES} and held.state = 'active' then null else held.singleton_key end,
      data = case when not (${REPLACES}) then held.data when held.state < 'active' then excluded.data
          || case when held.started_on is null then '{}' else jsonb_build_object('attemptsBefore', held.retry_count + 1) end
        else held.data || jsonb_build_object('replacedBy', excluded.id) end,
      ${replaced('priority', 'excluded.priority')},
      ${replaced('start_after', `least(excluded.start_after, ${latestSql('held.created_on', 'excluded.data')})`)},
      ${replaced('keep_until', 'greatest(held.keep_until, excluded.keep_until)')},
      ${replaced('retry_limit', `excluded.retry_limit + case when held.started_on is null then 0 else held.retry_count + 1 end`)},
      ${replaced('output', 'null')}
    returning id, singleton_key, state, start_after, case when singleton_key is null then data ->> 'replacedBy' end as "by"
  ), again as (
    ${insertSql('met join work on work.id::text = met."by"', `least(${START_AFTER}, ${latestSql('now()', 'work.data')})`)}
    on conflict do nothing
    returning id, singleton_key, start_after
  )
  select met.singleton_key as "key", met.id::text as "holderId", met.state = 'active' as "isRunning",
         met.state < 'active' and met.start_after <= now() + interval '1 second' as "isDue",
         pg_current_xact_id()::text as "transactionId"
  from met where met."by" is null
  union all
  select again.singleton_key, met.id::text, true, again.start_after <= now() + interval '1 second',
         pg_current_xact_id()::text
  from again join met on met."by" = again.id::text`
