import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { openPool, type Queryable } from '../openPool.ts'
import type { CellSettings } from './cellProcess.ts'
import type { Cell, Disturbance } from './matrixCells.ts'
import { migrateAll } from '../product.ts'
import type { RunContext } from '../runCommand.ts'
import { startProcess } from '../startProcess.ts'

export interface CellResult {
  name: string
  /** Null when all held. */
  problem: string | null
  tookMs: number
}

export interface MatrixContext extends Omit<RunContext, 'onEvent'> {
  /** A server on which databases can be created, as a superuser when cells need roles of their own. */
  adminUrl: string
}

const ENTRY = join(import.meta.dirname, 'cellProcess.ts')
const AT_ONCE = 3
const PATIENCE_MS = 60_000

/** Tries each of these hosts and roles. The results are in the order of the cells. */
export async function runMatrix(
  cells: readonly Cell[],
  context: MatrixContext,
): Promise<CellResult[]> {
  const admin = openPool({
    url: context.adminUrl,
    applicationName: 'hostile matrix',
    poolSize: AT_ONCE + 1,
  })
  try {
    const { rows } = await admin.query<{ version: number }>(
      `select current_setting('server_version_num')::int / 10000 as version`,
    )
    const version = rows[0]?.version ?? 0
    const fitting = cells.filter(({ minVersion = 0 }) => version >= minVersion)
    const results: CellResult[] = []
    const waiting = [...fitting.entries()]
    await Promise.all(
      Array.from({ length: AT_ONCE }, async () => {
        for (let next = waiting.shift(); next; next = waiting.shift()) {
          const [index, cell] = next
          context.signal.throwIfAborted()
          const result = await runCell(cell, admin, context)
          results[index] = result
          const { name, problem } = result
          context.onProgress(
            problem === null ? `held: ${name}` : `did NOT hold: ${name}: ${problem}`,
          )
        }
      }),
    )
    return results
  } finally {
    await admin.close()
  }
}

async function runCell(
  cell: Cell,
  admin: Queryable,
  { adminUrl, signal }: MatrixContext,
): Promise<CellResult> {
  const startedAt = Date.now()
  const name = `hostile_${randomBytes(6).toString('hex')}`
  const url = new URL(adminUrl)
  url.pathname = `/${name}`
  let problem: string | null
  try {
    await admin.query(`create database "${name}" template template0 ${cell.create ?? ''}`)
    if (cell.connections !== undefined) {
      // A superuser has no limit.
      await admin.query(
        `create role "${name}" login password '${name}' connection limit ${cell.connections}`,
      )
      await admin.query(`alter database "${name}" owner to "${name}"`)
      url.username = name
      url.password = name
    }
    for (const [setting, value] of Object.entries(cell.settings ?? {})) {
      // A search_path is a list of names: quoted, it would be one name.
      const text = setting === 'search_path' ? value : `'${value}'`
      await admin.query(`alter role current_user in database "${name}" set ${setting} = ${text}`)
    }
    problem = await tryCell(cell, { url: url.href, name, admin, signal })
  } catch (error) {
    problem = `set up: ${(error as Error).message}`
  } finally {
    await admin.query(`drop database if exists "${name}" with (force)`)
    if (cell.connections !== undefined) await admin.query(`drop role if exists "${name}"`)
  }
  return { name: cell.name, problem, tookMs: Date.now() - startedAt }
}

interface CellPlace {
  url: string
  name: string
  admin: Queryable
  signal: AbortSignal
}

async function tryCell(
  cell: Cell,
  { url, name, admin, signal }: CellPlace,
): Promise<string | null> {
  await migrateAll(url)
  const database = openPool({ url, applicationName: 'hostile cell', poolSize: 1 })
  const over = new AbortController()
  let disturbing: Promise<void> = Promise.resolve()
  try {
    await database.query(
      `create table "CellEffect" ("runId" uuid not null, "at" timestamptz not null, "share" float8 not null)`,
    )
    const { rows } = await database.query<{ table: string }>(`
      select oid::regclass::text as table from pg_class
      where relkind = 'r' and relnamespace = 'public'::regnamespace and relname like 'Job%'
      order by 1`)
    const tables = rows.map(({ table }) => table)
    if (cell.meanwhile) {
      const connection = cell.meanwhile.isFromOutside ? admin : database
      disturbing = disturb(cell.meanwhile, { connection, tables, name, over: over.signal })
    }
    return await runProcess({ databaseUrl: url, patienceMs: PATIENCE_MS }, cell, signal)
  } finally {
    over.abort()
    await disturbing
    await database.close()
  }
}

async function disturb(
  { statements, everyMs }: Disturbance,
  place: { connection: Queryable; tables: readonly string[]; name: string; over: AbortSignal },
): Promise<void> {
  for (let round = 0; !place.over.aborted; round++) {
    for (const statement of statements(round, place.tables, place.name)) {
      // It may meet a deadlock with what it disturbs, or lose its own connection.
      await place.connection.query(statement).catch(() => undefined)
    }
    await pause(everyMs, undefined, { signal: place.over }).catch(() => undefined)
  }
}

async function runProcess(
  settings: CellSettings,
  { timeZone }: Cell,
  signal: AbortSignal,
): Promise<string | null> {
  const child = startProcess(ENTRY, {
    settings,
    signal,
    isShortLived: true,
    ...(timeZone !== undefined && { env: { TZ: timeZone } }),
  })
  const timer = setTimeout(() => child.signal('SIGKILL'), settings.patienceMs + 60_000)
  const problem = await child
    .told<string>('problem')
    .catch((error: unknown) => (error as Error).message)
  await child.exited
  clearTimeout(timer)
  signal.throwIfAborted()
  return problem === '' ? null : `${problem}; ${child.lastLines().at(-1) ?? 'no log'}`
}
