import { randomUUID } from 'node:crypto'
import { connectionSettings } from '@roundsman/engine/internal'
import pg from 'pg'
import { FROM_THE_START, moveFloor, noteClaim, type Floor } from './floor.ts'
import { CLAIM_SQL, END_SQL, LOOK_SQL, PLACE_DUE_SQL } from './statements.ts'
import { TABLES_SQL } from './tables.ts'

/** A worker of the sketched queue without handlers: bare connections, one job, one rank. */
export interface Sketch {
  /** Inserts pieces that are due now, or tomorrow. */
  enqueue(count: number, when?: 'now' | 'tomorrow'): Promise<void>
  /** Takes up to so many pieces, behind the last that it took or from the floor, and records their ends. */
  takeAndEnd(limit: number, from: 'hint' | 'floor'): Promise<Taken>
  /** What a round does: it gives places to what is due, and moves the floor. Returns how long it took, in milliseconds. */
  round(): Promise<number>
  query<Row extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<Row[]>
  close(): Promise<void>
}

export interface Taken {
  count: number
  claimMs: number
  endMs: number
}

const JOB = 'noop'
const WORKER = 'sketch'
const MAX_BYTES = 32 * 2 ** 20
const [LEAST, GREATEST] = [-(2 ** 31), 2 ** 31 - 1]

export async function openSketch(url: string, connections: number): Promise<Sketch> {
  const admin = new pg.Client({ ...connectionSettings(url), application_name: 'admin' })
  await admin.connect()
  await admin.query(`begin; ${TABLES_SQL}; commit`)
  await admin.query(`do $$ begin
    execute format('alter database %I set search_path to own, public', current_database());
  end $$; set search_path to own, public`)
  await admin.query(`select pg_advisory_lock(hashtextextended('${WORKER}', 0))`)
  const pool = new pg.Pool({ ...connectionSettings(url), max: connections })
  let floor: Floor = FROM_THE_START

  return {
    async enqueue(count, when = 'now') {
      const columns = when === 'now' ? '' : ', "place", "dueAt"'
      const values = when === 'now' ? '' : `, null, now() + interval '1 day'`
      await admin.query(
        `insert into "JobWork" ("id", "name"${columns}) select uuidv7(), $1${values} from generate_series(1, $2::int)`,
        [JOB, count],
      )
    },
    async takeAndEnd(limit, from) {
      const claimId = randomUUID()
      const behind = from === 'hint' ? floor.hint.place : floor.floor
      const startedAt = performance.now()
      const { rows } = await pool.query<string[]>({
        name: 'claim',
        text: CLAIM_SQL,
        rowMode: 'array',
        types: { getTypeParser: () => String },
        values: [
          ...[WORKER, [JOB], [limit], [null], [claimId], [900], new Date()],
          // The ranks before its own, its own from where it has come to, and those behind.
          ...[
            [1, 1, 1],
            [LEAST, 0, 1],
            [0, behind, 0],
            [-1, 0, GREATEST],
          ],
          ...[0, MAX_BYTES],
        ],
      })
      const claimMs = performance.now() - startedAt
      if (rows.length === 0) return { count: 0, claimMs, endMs: 0 }
      const last = rows.reduce(
        (most, row) => (BigInt(row[6] ?? 0) > most ? BigInt(row[6] ?? 0) : most),
        0n,
      )
      floor = noteClaim(floor, { place: last, transaction: BigInt(rows[0]?.[9] ?? 0) })
      await pool.query({
        name: 'end',
        text: END_SQL,
        values: [
          WORKER,
          `{${rows.map(([id]) => id).join(',')}}`,
          [claimId],
          `{${rows.map(() => 1).join(',')}}`,
          `{${rows.map(() => Date.now()).join(',')}}`,
          null,
          [claimId],
        ],
      })
      return { count: rows.length, claimMs, endMs: performance.now() - startedAt - claimMs }
    },
    async round() {
      const startedAt = performance.now()
      await pool.query({ name: 'due', text: PLACE_DUE_SQL })
      const { rows } = await pool.query<{ xmin: string; first: string | null }>({
        name: 'look',
        text: LOOK_SQL,
        values: [JOB, 0, String(floor.floor)],
      })
      const [{ xmin, first } = { xmin: '0', first: null }] = rows
      floor = moveFloor(floor, { xmin: BigInt(xmin), first: first === null ? null : BigInt(first) })
      return performance.now() - startedAt
    },
    async query<Row extends pg.QueryResultRow>(text: string, values?: unknown[]) {
      return (await admin.query<Row>(text, values)).rows
    },
    async close() {
      await pool.end()
      await admin.end()
    },
  }
}
