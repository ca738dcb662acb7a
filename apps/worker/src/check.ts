import { explainDefinitionError } from './check/explainDefinitionError.ts'
import { countFindings, formatFindings } from './check/formatFindings.ts'
import { findRefusedDefinitions } from './check/findRefusedDefinitions.ts'
import type { CheckResult } from './check/checkProject.ts'
import { standardLayout } from './command/layout.ts'
import { parseOptions } from './command/parseOptions.ts'
import { runCommand } from './command/runCommand.ts'

const USAGE = `Usage: pnpm worker:check [--strict] [--no-database] [--json]

Finds what is wrong with jobs before any runs: schedules and their zones, overrides in the environment, times that
daylight saving takes away or repeats, policies that do not go together, destructive jobs without a guard, and
clean-ups that no index serves, which the planner of the database is asked for (DATABASE_URL; else the embedded
one, which is made where there is none). Each finding names the job, what is wrong, and the remedy.

  --strict        warnings count as well
  --no-database   look into no database
  --json          print one JSON object

Exit code: 0 nothing wrong (notes never count, warnings with --strict only), 1 findings, 2 usage`

await runCommand(USAGE, check)

async function check(args: string[]): Promise<number> {
  const values = parseOptions(args, {
    strict: { type: 'boolean' },
    'no-database': { type: 'boolean' },
    json: { type: 'boolean' },
  })
  const result = await findAll({ withDatabase: !values['no-database'] })
  const counts = countFindings(result.findings)
  const isOk = counts.error === 0 && (counts.warning === 0 || !values.strict)
  process.stdout.write(
    values.json
      ? `${JSON.stringify({ isOk, counts, ...result })}\n`
      : `${formatFindings(result, standardLayout())}\n`,
  )
  return isOk ? 0 : 1
}

async function findAll({ withDatabase }: { withDatabase: boolean }): Promise<CheckResult> {
  try {
    // Here and not above: a definition that is refused is so when it is imported.
    const [{ checkProject }, { environmentVariables }] = await Promise.all([
      import('./check/checkProject.ts'),
      import('./env.ts'),
    ])
    return await checkProject({ variables: environmentVariables(), withDatabase, now: new Date() })
  } catch (error) {
    const first = explainDefinitionError(error)
    if (first === null) throw error
    const findings = await findRefusedDefinitions(new URL(import.meta.resolve('@roundsman/jobs')))
    const unchecked = [{ what: 'all else', reason: 'the definitions could not be read' }]
    return { jobs: [], findings: findings.length > 0 ? findings : [first], unchecked }
  }
}
