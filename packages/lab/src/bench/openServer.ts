import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeServerFolder, openThrowawayPostgres } from '@roundsman/testing'
import pg from 'pg'
import { migrateAll } from '../product.ts'
import { startInstalledPostgres } from './startInstalledPostgres.ts'

/** The one PostgreSQL on which everything is measured. */
export interface Server {
  version: string
  /** The file of its log. */
  logFile: string
  /** Creates a database with all engines' tables and returns its URL. It drops one that has the name already. */
  createDatabase(name: string, template?: string): Promise<string>
  dropDatabase(name: string): Promise<void>
  /** Runs a statement as the server's owner, in the maintenance database. */
  query<Row extends pg.QueryResultRow>(text: string): Promise<Row[]>
  close(): Promise<void>
}

const TEMPLATE = 'bench_template'

/**
 * Starts a PostgreSQL with its default settings in a folder of its own, so that commits wait for the disk. It is the
 * embedded one, or that of `programs`, a folder with initdb and postgres.
 */
export async function openServer(programs: string | null): Promise<Server> {
  const dataDir = await makeServerFolder('roundsman-bench-', tmpdir())
  const remove = () => rm(dataDir, { recursive: true, force: true, maxRetries: 5 })
  try {
    const postgres =
      programs === null
        ? await openThrowawayPostgres({ dataDir })
        : await startInstalledPostgres(programs, dataDir)
    const urlOf = (name: string) => {
      const url = new URL(postgres.url)
      url.pathname = `/${name}`
      return url.href
    }
    const query = async <Row extends pg.QueryResultRow>(text: string): Promise<Row[]> =>
      await withClient(urlOf('postgres'), async (client) => (await client.query<Row>(text)).rows)
    const dropDatabase = async (name: string) => {
      await query(`drop database if exists "${name}" with (force)`)
    }
    const createDatabase = async (name: string, template = TEMPLATE) => {
      await dropDatabase(name)
      // Copied as files and then written to disk, so that no round pays for the copy of the one before.
      await query(`create database "${name}" template "${template}" strategy file_copy`)
      await query('checkpoint')
      return urlOf(name)
    }
    await query(`create database "${TEMPLATE}"`)
    await migrateAll(urlOf(TEMPLATE))
    await withClient(urlOf(TEMPLATE), (client) => client.query(UUIDV7_SQL))
    const [{ version } = { version: 'unknown' }] = await query<{ version: string }>(
      `select split_part(current_setting('server_version'), ' ', 1) || case when pg_jit_available() then ', with JIT' else '' end as version`,
    )
    return {
      version,
      logFile: join(postgres.directory, 'postgres.log'),
      createDatabase,
      dropDatabase,
      query,
      async close() {
        await postgres.release()
        await remove()
      },
    }
  } catch (error) {
    await remove()
    throw error
  }
}

/** PostgreSQL has this function from 18 on. The scenarios' data are made with it. */
const UUIDV7_SQL = `do $$ begin
  if to_regproc('uuidv7') is null then
    create function uuidv7() returns uuid language sql volatile as $f$
      select encode(set_bit(set_bit(overlay(
        uuid_send(gen_random_uuid()) placing
        substring(int8send(floor(extract(epoch from clock_timestamp()) * 1000)::bigint) from 3)
        from 1 for 6), 52, 1), 53, 1), 'hex')::uuid
    $f$;
  end if;
end $$`

export async function withClient<Result>(
  url: string,
  work: (client: pg.Client) => Promise<Result>,
): Promise<Result> {
  const client = new pg.Client({ connectionString: url, application_name: 'bench' })
  client.on('error', () => undefined)
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}
