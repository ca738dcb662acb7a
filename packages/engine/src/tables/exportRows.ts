import { checkMigrateOptions } from '../arguments/worker.ts'
import { MigrationRefusedError, withDatabase, type MigrateOptions } from './migrate.ts'

/**
 * The tables of runs, ticks, waiting work, dead letters, schedules and actions, of any baseline. `job` was the queue of earlier
 * ones.
 */
const EXPORTED = [
  ...['JobRun', 'JobTick', 'JobKeyedTick', 'JobWork', 'JobClaim', 'JobStart', 'JobPayload', 'job'],
  ...['JobDeadLetter', 'JobSchedule', 'JobKeyedSchedule', 'JobAction'],
]

/** Maximum of rows in memory at once. A payload has up to 8 MB. */
const ROWS_AT_ONCE = 20

/**
 * Writes each row of these tables as a line of JSON, `{"table":"JobRun","row":{…}}`, from one snapshot. It reads the tables'
 * names from PostgreSQL's catalogue, so it also works with tables that this version cannot use. It changes nothing.
 * @throws MigrationRefusedError if none of the tables exists
 */
export async function exportRows(
  options: MigrateOptions,
  write: (lines: string) => Promise<void>,
): Promise<void> {
  const pool = { applicationName: 'roundsman export', poolSize: 1, statementTimeoutMs: null }
  await withDatabase(checkMigrateOptions(options), pool, ({ schema, transaction }) =>
    transaction(async (tx) => {
      const ask = async <Row>(foreignText: string, values: unknown[] = []) =>
        (await tx.query<Row & { [column: string]: unknown }>({ foreignText }, values)).rows
      await ask('set transaction isolation level repeatable read read only')
      const tables = await ask<{ name: string }>(
        `select name from unnest($1::text[]) with ordinality wanted(name, nth)
         where exists (
           select from pg_class join pg_namespace space on space.oid = relnamespace
           where nspname = $2 and relname = name and relkind in ('r', 'p')
         ) order by nth`,
        [EXPORTED, schema.name],
      )
      if (tables.length === 0)
        throw new MigrationRefusedError(
          `There is nothing to export in the schema ${schema.name} of this database`,
        )
      for (const { name } of tables) {
        await ask(
          `declare rows_of_one no scroll cursor for
           select row_to_json(one)::text as "row" from ${schema.quoted}."${name}" one`,
        )
        for (;;) {
          const rows = await ask<{ row: string }>(`fetch ${ROWS_AT_ONCE} from rows_of_one`)
          if (rows.length === 0) break
          await write(rows.map(({ row }) => `{"table":"${name}","row":${row}}\n`).join(''))
        }
        await ask('close rows_of_one')
      }
    }),
  )
}
