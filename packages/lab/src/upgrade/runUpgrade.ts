import { setTimeout as pause } from 'node:timers/promises'
import { join } from 'node:path'
import { defineJob } from '@roundsman/engine'
import { foreseeMove, type ForeseenMove } from '@roundsman/engine/internal'
import { migrate } from '@roundsman/engine/migrate'
import { createWorker } from '@roundsman/engine/worker'
import pg from 'pg'
import { z } from 'zod'
import { startProcess } from '../startProcess.ts'

export interface UpgradeSize {
  waiting: number
  delayed: number
  dead: number
  /** Runs of before, which have ended. */
  runs: number
}

export interface UpgradeResult {
  foreseen: ForeseenMove
  /** How long the move took. */
  migratedMs: number
  /** Bytes that it wrote to the log of PostgreSQL. */
  logBytes: number
  /** How many pieces workers of 0.3 have done after it. */
  done: number
  /** What is not as it should be. Empty: every piece is accounted for. */
  findings: string[]
}

const silent = () => undefined
const log = { debug: silent, info: silent, warn: silent, error: silent }

interface Counts {
  runs: number
  running: number
  keys: number
}

/** Fills a database by processes of 0.2, moves it, and accounts for every piece. `before` is the folder of the engine of 0.2. */
export async function runUpgrade(options: {
  databaseUrl: string
  before: string
  size: UpgradeSize
  onProgress: (line: string) => void
}): Promise<UpgradeResult> {
  const { databaseUrl, before, size, onProgress } = options
  const pool = new pg.Pool({ connectionString: databaseUrl, application_name: 'judge', max: 4 })
  const rows = async <Row extends pg.QueryResultRow>(sql: string, values: unknown[] = []) =>
    (await pool.query<Row>(sql, values)).rows
  const one = async <Row extends pg.QueryResultRow>(sql: string, values: unknown[] = []) =>
    (await rows<Row>(sql, values))[0] as Row
  const findings: string[] = []
  const expect = (what: string, found: unknown, expected: unknown) => {
    const [is, should] = [JSON.stringify(found), JSON.stringify(expected)]
    if (is !== should) findings.push(`${what}: ${is}, expected ${should}`)
  }
  try {
    onProgress('A process of 0.2 enqueues')
    const args = [before, databaseUrl, JSON.stringify(size)]
    const old = startProcess(join(import.meta.dirname, 'beforeProcess.ts'), { args })
    await old.line(/^filled$/)
    onProgress('Runs of before are added')
    await rows(FILL_RUNS_SQL, [size.runs])
    await rows('analyze roundsman."JobRun"')

    const refused = await migrate({ databaseUrl, log }).then(
      () => 'it migrated',
      (error: unknown) => (error as Error).message,
    )
    if (!/still use this database: .*roundsman .*client.*worker /.test(refused))
      findings.push(`while a worker and a client of 0.2 live: ${refused}`)
    process.kill(old.pid, 'SIGKILL')
    await old.exited
    // PostgreSQL notices it.
    await pause(500)

    const pieces = await rows<{ id: string }>(PIECES_BEFORE_SQL)
    const counted = await one<Counts & { starts: number }>(COUNTS_BEFORE_SQL)
    const foreseen = await foreseeMove({ databaseUrl, log })
    if (foreseen === null) throw new Error('Nothing is to be moved')
    onProgress('It is moved')
    const begun = await one<{ lsn: string }>('select pg_current_wal_insert_lsn()::text as lsn')
    const startedAt = performance.now()
    await migrate({ databaseUrl, log })
    const migratedMs = performance.now() - startedAt
    const { bytes } = await one<{ bytes: number }>(
      'select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), $1::pg_lsn)::float8 as bytes',
      [begun.lsn],
    )

    onProgress('Every piece is accounted for')
    const moved = new Map(
      (await rows<{ id: string }>(PIECES_AFTER_SQL)).map((row) => [row.id, row]),
    )
    expect('pieces', moved.size, pieces.length)
    for (const { id, ...piece } of pieces) {
      const { id: _, ...found } = moved.get(id) ?? { id }
      expect(`piece ${id}`, found, piece)
      if (findings.length > 20) break
    }
    const after = await one<Counts & { lost: number }>(COUNTS_AFTER_SQL)
    expect('runs', after.runs, counted.runs + counted.starts)
    expect('runs under way', after.running, 0)
    expect('runs of lost workers', after.lost, counted.running + counted.starts)
    expect('unique keys', after.keys, counted.keys)
    expect(
      'foreseen',
      [foreseen.ready + foreseen.delayed + foreseen.deadLetters, foreseen.lostRuns],
      [pieces.length, counted.running + counted.starts],
    )

    onProgress('Processes of 0.2 are told')
    const late = startProcess(join(import.meta.dirname, 'lateProcess.ts'), {
      args: [before, databaseUrl],
    })
    const newer = /newer version, with which this version must not work: ownQueue/
    const deploy = /this database is Roundsman 0\.3: deploy this process/
    for (const told of [newer, newer, deploy, deploy, deploy]) {
      const [line] = await late.line(/^told: .*$/)
      if (!told.test(line)) findings.push(`a process of 0.2 is not told ${told}: ${line}`)
    }
    await late.stop()

    onProgress('A worker of 0.3 does what is due')
    const done = await doAll(databaseUrl, pool, foreseen.ready)
    expect('pieces done', done, foreseen.ready)
    const left = await one(
      `select count(*)::int as "waiting", count(*) filter (where "dueAt" < now())::int as "due" from roundsman."JobWork"`,
    )
    expect('what waits then', left, { waiting: foreseen.delayed, due: 0 })
    expect('keys that are held then', (await one<{ keys: number }>(KEYS_SQL)).keys, 0)
    return { foreseen, migratedMs, logBytes: bytes, done, findings }
  } finally {
    await pool.end()
  }
}

/** Returns how many pieces of work have succeeded once nothing is due any more. */
async function doAll(databaseUrl: string, pool: pg.Pool, expected: number): Promise<number> {
  const jobs = ['parcel', 'fragile', 'held'].map((name) =>
    defineJob({ name, payload: z.looseObject({}), concurrency: 50 }),
  )
  const nothing = async () => undefined
  const worker = createWorker({
    databaseUrl,
    client: pool,
    jobs,
    handlers: { parcel: nothing, fragile: nothing, held: nothing },
    retention: false,
    log,
  })
  await worker.start()
  const ask = async (sql: string) => (await pool.query<{ count: number }>(sql)).rows[0]?.count ?? 0
  const until = Date.now() + 60_000 + expected * 2
  try {
    while ((await ask(OPEN_SQL)) > 0 && Date.now() < until) await pause(500)
    return await ask(DONE_SQL)
  } finally {
    await worker.stop()
  }
}

const OPEN_SQL = `
  select (
    (select count(*) from roundsman."JobWork" where "dueAt" <= now()) + (select count(*) from roundsman."JobClaim")
  )::int as count`
const DONE_SQL = `
  select count(distinct "workId")::int as count from roundsman."JobRun"
  where "status" = 'success' and "workerId" <> 'before'`

/** Their ids sort by time, as all do. */
const FILL_RUNS_SQL = `
  insert into roundsman."JobRun" ("id", "name", "status", "trigger", "startedAt", "endedAt", "queueJobId", "workerId", "details")
  select id, 'parcel', 'success', 'queue', at, at + interval '20 milliseconds', id, 'before', '{"batches": 1, "sent": 2}'
  from generate_series(1, $1::int) n
    cross join lateral (select now() - ($1::int - n + 6000) * interval '10 milliseconds' as at) run
    cross join lateral (
      select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7' || substr(md5(n::text), 1, 3) || '8' || substr(md5(n::text), 4, 15))::uuid as id
    ) made`

/** What must be somewhere afterwards, and with what. */
const PIECES_BEFORE_SQL = `
  select id::text, name, case when state = 'failed' then 'dead' when start_after > now() then 'delayed' else 'ready' end as place,
         case when state = 'failed' then retry_count + 1 when state = 'active' then retry_count + 2 else 1 end as attempt,
         -priority as rank, singleton_key as key, md5((data -> 'payload')::text) as payload
  from roundsman.job where state <= 'active' or state = 'failed'
  union all
  select held.id::text, start."name", 'ready', 2, 0, null, md5((held.envelope -> 'payload')::text)
  from roundsman."JobStart" start cross join unnest(start."runIds", start."envelopes") held(id, envelope)
  where not exists (select from roundsman."JobRun" run where run."id" = held.id)`

const PIECES_AFTER_SQL = `
  select piece."id"::text as id, piece.name, piece.place, piece."attempt" as attempt, piece."rank" as rank, piece."uniqueKey" as key,
         md5(coalesce(piece."payload", long."payload")::text) as payload
  from (
    select "id", "name" as name, case when "place" is null then 'delayed' else 'ready' end as place, "attempt", "rank", "uniqueKey", "payload"
    from roundsman."JobWork"
    union all
    select "id", "name", 'dead', "attempt", "rank", "uniqueKey", "payload" from roundsman."JobDeadLetter"
  ) piece left join roundsman."JobPayload" long on long."workId" = piece."id"`

const COUNTS_BEFORE_SQL = `
  select (select count(*)::int from roundsman."JobRun") as runs,
         (select count(*)::int from roundsman."JobRun" where "status" = 'running') as running,
         (select count(*)::int from roundsman."JobStart" start cross join unnest(start."runIds") held(id)
          where not exists (select from roundsman."JobRun" run where run."id" = held.id)) as starts,
         (select count(*)::int from roundsman.job where singleton_key is not null and state <= 'active') as keys`

const KEYS_SQL = `select count(*)::int as keys from roundsman."JobUnique"`
const COUNTS_AFTER_SQL = `
  select (select count(*)::int from roundsman."JobRun") as runs,
         (select count(*)::int from roundsman."JobRunAll" where "status" = 'running') as running,
         (select count(*)::int from roundsman."JobRun" where "errorCode" = 'worker_lost') as lost, (${KEYS_SQL}) as keys`
