import { withEngineJobs } from '@roundsman/engine'
import { migrate } from '@roundsman/engine/migrate'
import { parseOptions } from '../command/parseOptions.ts'
import type { Command, Terminal } from '../command/runCommand.ts'
import { loadConfig } from '../config/loadConfig.ts'
import { requireDatabaseUrl } from '../config/openProduct.ts'
import { asForeseen } from '../config/asForeseen.ts'

const USAGE = `Usage: roundsman migrate [--database-url URL] [--schema NAME]

Makes the tables that the engine works with, the queue's included, or brings them to this version, from whichever
they have. A deploy step: several may run it at once, and killed on its way it is run again.

  --database-url URL  default: what roundsman.config.ts says, else DATABASE_URL
  --schema NAME       default: what roundsman.config.ts says, else roundsman

Exit code: 0 up to date, 1 failed, 2 usage`

export const migrateCommand: Command = { usage: USAGE, run: migrateTables }

async function migrateTables(args: string[], terminal: Terminal): Promise<number> {
  const values = parseOptions(args, {
    'database-url': { type: 'string' },
    schema: { type: 'string' },
  })
  // With both said, or a DATABASE_URL, it needs no sources: where it is deployed there may be none.
  const loaded = await loadConfig(process.cwd())
  const databaseUrl = values['database-url'] ?? requireDatabaseUrl(loaded, terminal.variables ?? {})
  const schema = values.schema ?? loaded?.config.schema
  const done = await asForeseen(() =>
    migrate({ databaseUrl, schema, jobs: withEngineJobs(loaded?.config.jobs ?? []) }),
  )
  terminal.stdout.write(
    done.length === 0
      ? 'The tables are up to date.\n'
      : `Done in the database:\n${done.map((name) => `  ${name}\n`).join('')}`,
  )
  return 0
}
