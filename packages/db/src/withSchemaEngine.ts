import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { PrismaPg } from '@prisma/adapter-pg'
import {
  bindMigrationAwareSqlAdapterFactory,
  ColumnTypeEnum,
  isDriverAdapterError,
  type SqlResultSet,
} from '@prisma/driver-adapter-utils'
import * as bindings from '@prisma/schema-engine-wasm/schema_engine_bg'
import {
  connectionSettings,
  LIFT_TRANSACTION_TIMEOUT_SQL,
  LIMIT_WAITS_SQL,
  tryUntilFree,
} from '@roundsman/engine/internal'
import { ENGINE_LOCK, MIGRATION_CONNECTION } from './withMigrationLock.ts'

// Node has this global, but its types leave it to the DOM library.
declare const WebAssembly: {
  instantiate(wasm: Uint8Array, imports: object): Promise<{ instance: { exports: object } }>
}

export type SchemaEngine = bindings.SchemaEngine

let instantiated: Promise<void> | undefined

/**
 * Runs Prisma's own schema engine from its WebAssembly build: the code of `prisma migrate`, over the driver that the client
 * uses. The native engine would have to be downloaded. The caller must hold withMigrationLock.
 */
export async function withSchemaEngine<Result>(
  url: string,
  work: (engine: SchemaEngine) => Promise<Result>,
): Promise<Result> {
  instantiated ??= instantiate()
  await instantiated
  const factory = new AtomicScripts({
    ...connectionSettings(url),
    application_name: MIGRATION_CONNECTION.applicationName,
    // oxlint-disable-next-line typescript/no-misused-promises -- the pool waits for what it returns
    onConnect: (client) => client.query(LIFT_TRANSACTION_TIMEOUT_SQL),
  })
  const adapter = bindMigrationAwareSqlAdapterFactory(factory)
  let engine: SchemaEngine | undefined
  try {
    engine = await bindings.SchemaEngine.new({ datamodels: undefined }, () => undefined, adapter)
    return await work(engine)
  } catch (error) {
    // The engine says only that something outside of it failed; PostgreSQL said what.
    throw factory.scriptError ?? error
  } finally {
    engine?.free()
    await factory.close()
  }
}

/** Left out below: withMigrationLock holds this lock already, as a transaction's, which a pooler cannot keep. */
const LOCK_SQL = `SELECT pg_advisory_lock(${ENGINE_LOCK})`

/**
 * Sends each migration as one query. PrismaPg splits scripts at every semicolon, even inside a quoted body, and sends the
 * pieces one by one. As one query it is one transaction: a process that is killed half-way leaves nothing. It waits for no
 * lock for long, since all that come later would wait behind it; an index that is built concurrently keeps nobody waiting.
 */
class AtomicScripts extends PrismaPg {
  /** The error of the script that failed, if one did. */
  scriptError: unknown
  readonly #connections: Awaited<ReturnType<PrismaPg['connect']>>[] = []

  override async connect() {
    const connection = await super.connect()
    connection.executeScript = async (script) => {
      const isPatient = /\bconcurrently\b/i.test(script)
      const text = isPatient ? script : `${LIMIT_WAITS_SQL};\n${script}`
      try {
        await tryUntilFree(() => connection.underlyingDriver().query(text))
      } catch (error) {
        this.scriptError = error
        throw error
      }
    }
    const executeRaw = connection.executeRaw.bind(connection)
    connection.executeRaw = async (query) => (query.sql === LOCK_SQL ? 0 : await executeRaw(query))
    const queryRaw = connection.queryRaw.bind(connection)
    connection.queryRaw = async (query) =>
      await queryRaw(query).catch(async (error: unknown) => {
        if (!isDriverAdapterError(error) || error.cause.kind !== 'UnsupportedNativeDataType')
          throw error
        const { fields } = await connection.underlyingDriver().query(query.sql, query.args)
        return await readCharacters(fields, (sql) => queryRaw({ ...query, sql: sql(query.sql) }))
      })
    this.#connections.push(connection)
    return connection
  }

  /** The engine does not close its connections. */
  async close(): Promise<void> {
    await Promise.all(this.#connections.map((connection) => connection.dispose()))
  }
}

/** PostgreSQL's type "char", which its catalogue is full of and the driver refuses. */
const CHAR_OID = 18

/** Casts such columns to text, and then tells the engine that they are single characters. */
async function readCharacters(
  fields: readonly { name: string; dataTypeID: number }[],
  ask: (rewrite: (sql: string) => string) => Promise<SqlResultSet>,
): Promise<SqlResultSet> {
  const columns = fields.map(({ name, dataTypeID }) =>
    dataTypeID === CHAR_OID ? `"${name}"::text` : `"${name}"`,
  )
  const result = await ask(
    (sql) => `select ${columns.join(', ')} from (${sql.trim().replace(/;$/, '')}) as asked`,
  )
  const columnTypes = result.columnTypes.map((type, nth) =>
    fields[nth]?.dataTypeID === CHAR_OID ? ColumnTypeEnum.Character : type,
  )
  return { ...result, columnTypes }
}

async function instantiate(): Promise<void> {
  const require = createRequire(import.meta.url)
  const entry = require.resolve('@prisma/schema-engine-wasm/schema_engine_bg')
  const wasm = await readFile(entry.replace(/\.js$/, '.wasm'))
  const { instance } = await WebAssembly.instantiate(wasm, {
    './schema_engine_bg.js': withoutHeldTimers(bindings),
  })
  bindings.__wbg_set_wasm(instance.exports)
  ;(instance.exports as { __wbindgen_start(): void }).__wbindgen_start()
}

/** The engine leaves timers of 10 s behind, which would keep an otherwise idle process alive. */
function withoutHeldTimers(imports: object): object {
  return Object.fromEntries(
    Object.entries(imports).map(([name, implementation]) => {
      if (!name.startsWith('__wbg_setTimeout_')) return [name, implementation]
      const setTimer = implementation as (...args: unknown[]) => NodeJS.Timeout
      return [name, (...args: unknown[]) => setTimer(...args).unref()]
    }),
  )
}
