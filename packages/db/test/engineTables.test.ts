import { createTestDatabase, type TestDatabase } from '@roundsman/testing'
import { migrate, prismaModels } from '@roundsman/engine/migrate'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { withSchemaEngine } from '../src/withSchemaEngine.ts'

let database: TestDatabase
let client: pg.Client

beforeEach(async () => {
  database = await createTestDatabase({ migrated: false })
  client = new pg.Client({ connectionString: database.url })
  await client.connect()
})

afterEach(async () => {
  await client.end()
  await database.drop()
})

describe.each(['public', 'roundsman'])("Prisma beside the engine's tables in %s", (schema) => {
  it('is told of all that it would see there', async () => {
    await migrate({ databaseUrl: database.url, schema })
    const { config } = prismaModels({ schema })

    // It passes over views and partitions.
    const { rows } = await client.query<{ name: string }>(
      `select relname as name from pg_class
       where relnamespace = $1::regnamespace and relkind in ('r', 'p') and not relispartition
       union all
       select distinct typname from pg_type join pg_enum on enumtypid = pg_type.oid
       where typnamespace = $1::regnamespace`,
      [schema],
    )
    expect(rows.length).toBeGreaterThan(10)
    for (const { name } of rows) expect(config).toContain(`'${schema}.${name}',`)
  })

  it('reads runs by a model that says what is there', async () => {
    const { models } = prismaModels({ schema })
    const schemas = schema === 'public' ? '' : '\n  schemas = ["public", "roundsman"]'
    const datasource = `datasource db {\n  provider = "postgresql"${schemas}\n}`
    const script = await createScript([datasource, models])
    await client.query(script)
    const modelled = await readColumns()
    expect(modelled.length).toBeGreaterThan(10)
    await client.query(
      schema === 'public'
        ? 'drop table "JobRun"; drop type "JobRunStatus", "JobTrigger"'
        : 'drop schema roundsman cascade',
    )

    await migrate({ databaseUrl: database.url, schema })

    expect(await readColumns()).toEqual(expect.arrayContaining(modelled))
  })

  async function readColumns(): Promise<string[]> {
    const { rows } = await client.query<{ line: string }>(
      `select concat_ws(' ', column_name, udt_name, datetime_precision, is_nullable) as line
       from information_schema.columns where table_schema = $1 and table_name = 'JobRun'`,
      [schema],
    )
    return rows.map(({ line }) => line)
  }
})

/** The SQL by which Prisma would create what the schema files say. */
async function createScript(contents: string[]): Promise<string> {
  const files = contents.map((content, at) => ({ path: `${at}.prisma`, content }))
  return await withSchemaEngine(database.url, async (engine) => {
    const { stdout } = await engine.diff({
      from: { tag: 'empty' },
      to: { tag: 'schemaDatamodel', files },
      script: true,
      exitCode: null,
      filters: { externalTables: [], externalEnums: [] },
    })
    return stdout ?? ''
  })
}
