import { parseArgs } from 'node:util'
import { ENGINE_SCHEMA, missingMigrations } from '@roundsman/db/admin'
import { checkMigrations } from '@roundsman/engine/internal'
import { runWithDatabase } from './runWithDatabase.ts'
import { migrateDatabase } from './migrate/migrateDatabase.ts'

const USAGE = `Usage: pnpm db:migrate [--check [--json]]

Brings the tables of the product and of the queue up to date, in the database of
DATABASE_URL or, without it, in the embedded one, which it creates if there is none.

  --check  change nothing; exit with 1 if something is missing, of another baseline or newer. For CI
  --json   with --check: print one JSON object

Exit code: 0 up to date, 1 failed, or something is missing, 2 usage`

const UP_TO_DATE = 'The database is up to date.'

const listed = (names: readonly string[]) => names.map((name) => `  ${name}`).join('\n')

process.exit(await main())

async function main(): Promise<number> {
  const { isHelp, isCheck, asJson, problem } = readArguments()
  if (isHelp) {
    process.stdout.write(`${USAGE}\n`)
    return 0
  }
  if (problem !== null) {
    process.stderr.write(`${problem}\n\n${USAGE}\n`)
    return 2
  }
  let isUpToDate = true
  const code = await runWithDatabase(async ({ url, env }) => {
    if (isCheck) {
      const missing = await findMissing(url)
      isUpToDate = missing.length === 0
      if (asJson) return JSON.stringify({ isUpToDate, missing })
      return isUpToDate ? UP_TO_DATE : `The database is not up to date:\n${listed(missing)}`
    }
    const applied = await migrateDatabase(url, env)
    return applied.length === 0 ? UP_TO_DATE : `Applied to the database:\n${listed(applied)}`
  })
  return isUpToDate ? code : 1
}

function readArguments() {
  const options = {
    check: { type: 'boolean' },
    json: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  } as const
  try {
    const { check = false, json = false, help = false } = parseArgs({ options }).values
    const problem = json && !check ? '--json needs --check' : null
    return { isHelp: help, isCheck: check, asJson: json, problem }
  } catch (error) {
    return { isHelp: false, isCheck: false, asJson: false, problem: (error as Error).message }
  }
}

/** What the database lacks: the product's migrations by name, and a sentence about the engine's tables. */
async function findMissing(url: string): Promise<string[]> {
  const problem = await checkMigrations({ databaseUrl: url, schema: ENGINE_SCHEMA })
  return [...(await missingMigrations(url)), ...(problem === null ? [] : [problem.problem])]
}
