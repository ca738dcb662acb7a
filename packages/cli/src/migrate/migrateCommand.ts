import {
  checkMigrations,
  exportRows,
  migrationSql,
  prismaModels,
  uninstallSql,
} from '@roundsman/engine/internal'
import type { TablesError } from '@roundsman/engine/client'
import type { MigrateOptions } from '@roundsman/engine/migrate'
import { parseOptions } from '../command/parseOptions.ts'
import { UsageError, type Command, type Terminal } from '../command/runCommand.ts'
import { asForeseen } from '../config/asForeseen.ts'
import { loadConfig, type LoadedConfig } from '../config/loadConfig.ts'
import { requireDatabaseUrl } from '../config/openProduct.ts'
import { migrateInWords } from './migrateInWords.ts'

const USAGE = `Usage: roundsman migrate [--check [--json] | --sql | --prisma] [--database-url URL] [--schema NAME]

Creates the tables of the engine and its queue. Run it in each deployment. Several may run at once, and you can repeat a
killed one. If the tables come from an incompatible version, it names that version and changes nothing. Save their rows
with roundsman export.

  --check             change nothing; exit with 1 if the tables are missing, of another baseline or newer. For CI
  --json              with --check: print one JSON object
  --sql               print a script for psql that creates the tables, for a DBA; print nothing if they exist
  --prisma            print Prisma models for reading runs, and the lines to add to prisma.config.ts
  --database-url URL  default: that of roundsman.config.ts, otherwise DATABASE_URL
  --schema NAME       default: that of roundsman.config.ts, otherwise roundsman

Exit code: 0 up to date, 1 failed, or something is missing, 2 usage`

const PLACE = { 'database-url': { type: 'string' }, schema: { type: 'string' } } as const

export const migrateCommand: Command = { usage: USAGE, run: migrateTables }

async function migrateTables(args: string[], terminal: Terminal): Promise<number> {
  const { stdout } = terminal
  const values = parseOptions(args, {
    ...PLACE,
    check: { type: 'boolean' },
    sql: { type: 'boolean' },
    prisma: { type: 'boolean' },
    json: { type: 'boolean' },
  })
  const modes = [values.check, values.sql, values.prisma].filter(Boolean)
  if (modes.length > 1) throw new UsageError('Give only one of --check, --sql and --prisma')
  if (values.json && !values.check) throw new UsageError('--json needs --check')
  // A deployment may have no sources and no configuration: then DATABASE_URL is enough.
  const loaded = await loadConfig(process.cwd())
  const schema = values.schema ?? loaded?.config.schema
  const findUrl = () => values['database-url'] ?? requireDatabaseUrl(loaded, terminal.variables)
  if (values.prisma) {
    const { models, config } = prismaModels({ schema })
    stdout.write(`${models}\n// prisma.config.ts must have:\n${commented(config)}\n`)
    return 0
  }
  const place = () => ({ databaseUrl: findUrl(), schema })
  if (values.sql) {
    const problem = hasDatabase(values['database-url'], loaded, terminal)
      ? await asForeseen(() => findMissing(place()))
      : undefined
    if (problem !== null) stdout.write(migrationSql({ schema }))
    return 0
  }
  if (values.check) {
    const problem = await asForeseen(() => checkMigrations(place()))
    const told = problem === null ? null : { kind: problem.kind, message: problem.message }
    stdout.write(
      values.json
        ? `${JSON.stringify({ isUpToDate: told === null, problem: told })}\n`
        : `${told === null ? 'The tables are up to date.' : told.message}\n`,
    )
    return problem === null ? 0 : 1
  }
  const said = await asForeseen(() => migrateInWords(place()))
  stdout.write(`${said}\n`)
  return 0
}

/** @throws TablesError when the tables are there, and not of this version's baseline */
async function findMissing(place: MigrateOptions): Promise<TablesError | null> {
  const problem = await checkMigrations(place)
  if (problem !== null && problem.kind !== 'missing') throw problem
  return problem
}

function hasDatabase(
  given: string | undefined,
  loaded: LoadedConfig | null,
  { variables }: Terminal,
): boolean {
  return (given ?? loaded?.config.databaseUrl ?? variables['DATABASE_URL'] ?? '') !== ''
}

function commented(text: string): string {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => `//   ${line}`.trimEnd())
    .join('\n')
}

export const exportCommand: Command = {
  usage: `Usage: roundsman export [--database-url URL] [--schema NAME]

Prints the rows of runs, ticks, waiting work, dead letters, schedules and actions, one JSON object a line:
{"table":"JobRun","row":{…}}. It works for the tables of any version, and changes nothing.

  --database-url URL  default: that of roundsman.config.ts, otherwise DATABASE_URL
  --schema NAME       default: that of roundsman.config.ts, otherwise roundsman

Exit code: 0 printed, 1 failed, 2 usage`,
  async run(args, { stdout, variables }) {
    const values = parseOptions(args, PLACE)
    const loaded = await loadConfig(process.cwd())
    const databaseUrl = values['database-url'] ?? requireDatabaseUrl(loaded, variables)
    const schema = values.schema ?? loaded?.config.schema
    // The next rows are read once these have been taken.
    const write = (lines: string) =>
      new Promise<void>((resolve) => void stdout.write(lines, () => resolve()))
    await asForeseen(() => exportRows({ databaseUrl, schema }, write))
    return 0
  },
}

export const uninstallCommand: Command = {
  usage: `Usage: roundsman uninstall --sql [--schema NAME]

Prints a script for psql that removes all tables with their contents, waiting work included. Nothing is removed until
you run that script; stop the workers first. The files that init has written are yours to delete.

  --schema NAME  default: that of roundsman.config.ts, otherwise roundsman

Exit code: 0 printed, 2 usage`,
  async run(args, { stdout }) {
    const values = parseOptions(args, { sql: { type: 'boolean' }, schema: { type: 'string' } })
    if (!values.sql) {
      throw new UsageError(
        'uninstall removes nothing itself: give --sql, then run the script that it prints',
      )
    }
    const loaded = values.schema === undefined ? await loadConfig(process.cwd()) : null
    stdout.write(uninstallSql({ schema: values.schema ?? loaded?.config.schema }))
    return 0
  },
}
