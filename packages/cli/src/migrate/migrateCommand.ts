import {
  checkMigrations,
  foreseeMove,
  migrationSql,
  prismaModels,
  uninstallSql,
  type ForeseenMove,
} from '@roundsman/engine/internal'
import { parseOptions } from '../command/parseOptions.ts'
import { UsageError, type Command, type Terminal } from '../command/runCommand.ts'
import { asForeseen } from '../config/asForeseen.ts'
import { loadConfig, type LoadedConfig } from '../config/loadConfig.ts'
import { requireDatabaseUrl } from '../config/openProduct.ts'
import { migrateInWords } from './migrateInWords.ts'

const USAGE = `Usage: roundsman migrate [--check [--json] | --dry-run | --sql | --prisma] [--database-url URL] [--schema NAME]

Creates the tables of the engine and its queue, or updates them from any version since 0.2 to this one. Run it in each
deployment: several may run at once, and one that was killed can be run again. From 0.2 there is no way back: stop all of
its processes first, and keep a backup.

  --check             change nothing; exit with 1 if something is missing or newer. For CI
  --dry-run           change nothing; say what the update from 0.2 moves, and what it takes
  --json              with --check: print one JSON object
  --sql               print the changes as a script for psql, for somebody else to run; without a database to
                      compare with, print the whole script
  --prisma            print Prisma models for reading runs, and what to add to prisma.config.ts
  --database-url URL  default: what roundsman.config.ts says, else DATABASE_URL
  --schema NAME       default: what roundsman.config.ts says, else roundsman

Exit code: 0 up to date, 1 failed, or something is missing, 2 usage`

const PLACE = { 'database-url': { type: 'string' }, schema: { type: 'string' } } as const

export const migrateCommand: Command = { usage: USAGE, run: migrateTables }

async function migrateTables(args: string[], terminal: Terminal): Promise<number> {
  const { stdout } = terminal
  const values = parseOptions(args, {
    ...PLACE,
    check: { type: 'boolean' },
    'dry-run': { type: 'boolean' },
    sql: { type: 'boolean' },
    prisma: { type: 'boolean' },
    json: { type: 'boolean' },
  })
  const modes = [values.check, values['dry-run'], values.sql, values.prisma].filter(Boolean)
  if (modes.length > 1)
    throw new UsageError('Give only one of --check, --dry-run, --sql and --prisma')
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
  if (values.sql) {
    const from = hasDatabase(values['database-url'], loaded, terminal)
      ? (await asForeseen(() => checkMigrations({ databaseUrl: findUrl(), schema }))).state
      : undefined
    stdout.write(migrationSql({ schema, from }))
    return 0
  }
  if (values.check) {
    const { problem } = await asForeseen(() => checkMigrations({ databaseUrl: findUrl(), schema }))
    const told = problem === null ? null : { kind: problem.kind, message: problem.message }
    stdout.write(
      values.json
        ? `${JSON.stringify({ isUpToDate: told === null, problem: told })}\n`
        : `${told === null ? 'The tables are up to date.' : told.message}\n`,
    )
    return problem === null ? 0 : 1
  }
  if (values['dry-run']) {
    const foreseen = await asForeseen(() => foreseeMove({ databaseUrl: findUrl(), schema }))
    stdout.write(foreseen === null ? 'Nothing is to be moved from 0.2.\n' : describeMove(foreseen))
    return 0
  }
  const said = await asForeseen(() => migrateInWords({ databaseUrl: findUrl(), schema }))
  stdout.write(`${said}\n`)
  return 0
}

function describeMove(move: ForeseenMove): string {
  const number = (count: number) => Math.round(count).toLocaleString('en')
  const megabytes = number(Math.ceil(move.diskBytes / 1_000_000))
  const lines = [
    'There is no way back after this update. Stop all processes of 0.2 first, and keep a backup.',
    `Work that waits: ${number(move.ready)} due, ${number(move.delayed)} for later. It is moved.`,
    `Dead letters: ${number(move.deadLetters)}. They are moved, with ${number(move.kept)} payloads for approvals.`,
    `Runs of dead workers: ${number(move.lostRuns)}. They end as worker_lost, and their work waits again.`,
    `Work that newer work has replaced: ${number(move.replaced)}. It is dropped, with an action for each.`,
    `Runs: about ${number(move.runs)}. They stay where they are.`,
    `Time: about ${number(move.seconds)} s, in one transaction. Disk: about ${megabytes} MB, and as much for the log.`,
    'Locks: all tables of Roundsman, from the first moment to the last. Nobody reads or enqueues meanwhile.',
    move.others.length === 0
      ? "pg-boss's tables are removed."
      : `pg-boss's tables stay, for the queues of others: ${move.others.join(', ')}.`,
  ]
  return `${lines.join('\n')}\n`
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

export const uninstallCommand: Command = {
  usage: `Usage: roundsman uninstall --sql [--schema NAME]

Prints a script for psql that removes all tables with their contents, waiting work included. Nothing is removed until
you run that script; stop the workers first. The files that init has written are yours to delete.

  --schema NAME  default: what roundsman.config.ts says, else roundsman

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
