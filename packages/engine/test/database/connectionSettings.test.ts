import { createTestDatabase, waitFor, type TestDatabase } from '@roundsman/testing'
import fc from 'fast-check'
import pg from 'pg'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connectionSettings } from '../../src/database/connectionSettings.ts'
import { openDatabase } from '../../src/database/database.ts'
import { createSchema } from '../../src/database/schema.ts'

const log = pino({ level: 'silent' })

let database: TestDatabase
let admin: pg.Client

beforeAll(async () => {
  database = await createTestDatabase()
  admin = new pg.Client({ connectionString: database.url })
  await admin.connect()
})

afterAll(async () => {
  await admin.end()
  await database.drop()
})

/** The settings of a connection that is opened with this URL. */
async function settingsOf(url: string, names: readonly string[]): Promise<Record<string, string>> {
  const client = new pg.Client(connectionSettings(url))
  await client.connect()
  try {
    const { rows } = await client.query<{ name: string; value: string }>(
      'select name, current_setting(name) as value from unnest($1::text[]) as t(name)',
      [names],
    )
    return Object.fromEntries(rows.map(({ name, value }) => [name, value]))
  } finally {
    await client.end()
  }
}

const withOptions = (options: string) => {
  const url = new URL(database.url)
  url.searchParams.set('options', options)
  return url.href
}

const HOSTILE = {
  jit: 'on',
  datestyle: 'SQL, DMY',
  intervalstyle: 'sql_standard',
  timezone: 'Asia/Kathmandu',
  bytea_output: 'escape',
  extra_float_digits: '0',
  standard_conforming_strings: 'off',
  array_nulls: 'off',
  default_transaction_isolation: 'serializable',
  statement_timeout: '50ms',
  lock_timeout: '50ms',
  idle_in_transaction_session_timeout: '50ms',
  idle_session_timeout: '50ms',
}

const OURS = {
  jit: 'off',
  datestyle: 'ISO, MDY',
  intervalstyle: 'postgres',
  timezone: 'UTC',
  bytea_output: 'hex',
  extra_float_digits: '1',
  standard_conforming_strings: 'on',
  array_nulls: 'on',
  default_transaction_isolation: 'read committed',
  statement_timeout: '0',
  lock_timeout: '0',
  idle_in_transaction_session_timeout: '1min',
  idle_session_timeout: '0',
  tcp_user_timeout: '30000',
  tcp_keepalives_idle: '10',
  tcp_keepalives_interval: '5',
  tcp_keepalives_count: '4',
}

describe('connectionSettings', () => {
  it('leaves nothing to what the server, the database or the role has as its defaults', async () => {
    const name = new URL(database.url).pathname.slice(1)
    for (const [setting, value] of Object.entries(HOSTILE)) {
      await admin.query(`alter database "${name}" set ${setting} = ${pg.escapeLiteral(value)}`)
    }
    try {
      expect(await settingsOf(database.url, Object.keys(OURS))).toEqual(OURS)
    } finally {
      await admin.query(`alter database "${name}" reset all`)
    }
  })

  it("lets the URL's own options count, but for those without which values are misread or runs fail", async () => {
    const url = withOptions(
      '-c jit=on --lock_timeout=7s -c search_path="a\\ b",public -c timezone=Asia/Tokyo -c default_transaction_isolation=serializable',
    )
    const names = [
      'jit',
      'lock_timeout',
      'search_path',
      'timezone',
      'default_transaction_isolation',
    ]
    expect(await settingsOf(url, names)).toEqual({
      jit: 'on',
      lock_timeout: '7s',
      search_path: '"a b",public',
      timezone: 'UTC',
      default_transaction_isolation: 'read committed',
    })
  })

  it('reads what the URL has encoded in other ways', async () => {
    const options = ['-c%20jit%3Don', '-c+jit=on', '-cjit=on', '-c jit=on', '--jit=on']
    for (const encoded of options) {
      expect(await settingsOf(`${database.url}?options=${encoded}`, ['jit', 'timezone'])).toEqual({
        jit: 'on',
        timezone: 'UTC',
      })
    }
  })

  it('adds to PGOPTIONS where the URL has none', async () => {
    process.env['PGOPTIONS'] = '-c jit=on -c work_mem=5MB'
    try {
      expect(await settingsOf(database.url, ['jit', 'work_mem', 'timezone'])).toEqual({
        jit: 'on',
        work_mem: '5MB',
        timezone: 'UTC',
      })
    } finally {
      delete process.env['PGOPTIONS']
    }
  })

  it('keeps all else that the URL says, whatever it is', () => {
    const text = fc
      .string({ unit: 'grapheme', minLength: 1 })
      .filter((value) => value.isWellFormed())
    const parts = fc.record({
      user: text,
      password: text,
      // Without dots: any URL parser would resolve a path of dots.
      database: fc.stringMatching(/^[a-z0-9 %-]+$/),
      parameters: fc.dictionary(fc.constantFrom('application_name', 'connect_timeout'), text),
      options: fc.option(fc.stringMatching(/^-c [a-z_]+=[ -~]*[!-~]$/), { nil: undefined }),
    })
    fc.assert(
      fc.property(parts, ({ user, password, database: name, parameters, options }) => {
        const query = new URLSearchParams({ ...parameters, ...(options && { options }) })
        const url = `postgres://${encodeURIComponent(user)}:${encodeURIComponent(password)}@h:1/${encodeURIComponent(name)}?${String(query)}`
        const [before, after] = [{ connectionString: url }, connectionSettings(url)].map(
          (config) =>
            (new pg.Client(config) as unknown as { connectionParameters: Record<string, unknown> })
              .connectionParameters,
        )
        const keys = ['host', 'port', 'user', 'password', 'database', 'application_name'] as const
        for (const key of keys) expect(after?.[key]).toEqual(before?.[key])
        expect(after?.['options']).toContain(options === undefined ? ' ' : ` ${options} `)
      }),
    )
  })

  it('goes with a path to a socket, which takes no parameters', () => {
    const { connectionString, options } = connectionSettings('/var/run/postgresql app')
    expect(connectionString).toBe('/var/run/postgresql app')
    expect(options).toContain('-c timezone=UTC')
  })

  it("lifts a role's limit for transactions where there is one", async () => {
    const { rows } = await admin.query<{ isThere: boolean }>(
      `select current_setting('transaction_timeout', true) is not null as "isThere"`,
    )
    const limit = rows[0]?.isThere === true ? '-c transaction_timeout=50ms' : ''
    const pool = openDatabase({
      schema: createSchema('public'),
      url: withOptions(limit),
      applicationName: 'limited',
      log,
    })
    try {
      const slept = pool.transaction((tx) => tx.query('select pg_sleep(0.2)'))
      await expect(slept).resolves.toMatchObject({ rowCount: 1 })
      await waitFor(() => pool.connections().idle === 1)
    } finally {
      await pool.close()
    }
  })
})
