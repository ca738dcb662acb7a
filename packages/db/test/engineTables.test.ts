// Not quick: asks Prisma's schema engine.
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createTestDatabase, type TestDatabase } from '@roundsman/testing'
import { migrate } from '@roundsman/engine/migrate'
import { prismaModels } from '@roundsman/engine/internal'
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

    // Prisma ignores views and partitions.
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

  it("finds nothing to change beside a product's own tables", async () => {
    const datasource = 'datasource db {\n  provider = "postgresql"\n}'
    await client.query(await createScript([datasource, BERTHS]))
    await migrate({ databaseUrl: database.url, schema })

    const external = readExternal(prismaModels({ schema }).config)
    expect(await findChanges([datasource, BERTHS], external)).toBe('')
    // It does notice changes of the product's own tables.
    const changed = BERTHS.replace('code String', 'code String?')
    expect(await findChanges([datasource, changed], external)).toContain('DROP NOT NULL')
    // In a schema that is not the product's it ignores the tables without being told.
    const untold = await findChanges([datasource, BERTHS], NOTHING_EXTERNAL)
    expect(untold.includes('DROP TABLE "JobRun"')).toBe(schema === 'public')
    expect(untold === '').toBe(schema !== 'public')
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

it("finds nothing to change in this product's database", async () => {
  const product = await createTestDatabase()
  try {
    const folder = join(import.meta.dirname, '../../../prisma/schema')
    const models = await Promise.all(
      (await readdir(folder)).map((file) => readFile(join(folder, file), 'utf8')),
    )
    const external = readExternal(prismaModels({ schema: 'public' }).config)
    expect(await findChanges(models, external, product.url)).toBe('')
  } finally {
    await product.drop()
  }
})

const BERTHS = 'model Berth {\n  id Int @id\n  code String\n}\n'
const NOTHING_EXTERNAL = { externalTables: [], externalEnums: [] }

/** What `prisma.config.ts` would say, in the form in which the schema engine takes it. */
function readExternal(config: string): typeof NOTHING_EXTERNAL {
  const [tables = '', enums = ''] = config.split('enums:')
  const namesIn = (text: string) => [...text.matchAll(/'([^']+)'/g)].map(([, name = '']) => name)
  return { externalTables: namesIn(tables), externalEnums: namesIn(enums) } as never
}

/** The SQL with which Prisma would make the database match the schema files. Empty when it does. */
async function findChanges(
  contents: string[],
  filters: typeof NOTHING_EXTERNAL,
  url = database.url,
): Promise<string> {
  const files = contents.map((content, at) => ({ path: `${at}.prisma`, content }))
  return await withSchemaEngine(url, async (engine) => {
    const { stdout } = await engine.diff({
      from: { tag: 'schemaDatasource', files, configDir: import.meta.dirname },
      to: { tag: 'schemaDatamodel', files },
      script: true,
      exitCode: null,
      filters,
    })
    return (stdout ?? '').replaceAll(/^--.*$/gm, '').trim()
  })
}

/** The SQL with which Prisma would create what the schema files say. */
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
