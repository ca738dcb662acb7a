import { readdir } from 'node:fs/promises'
import { extname } from 'node:path'
import type { Finding } from './finding.ts'
import { countFindings, formatFindings } from './formatFindings.ts'
import type { CheckResult } from './checkProject.ts'
import { standardLayout } from '../command/layout.ts'
import { parseOptions } from '../command/parseOptions.ts'
import type { Command, Terminal } from '../command/runCommand.ts'

const USAGE = `Usage: pnpm worker:check [--strict] [--no-database] [--json]

Finds what is wrong with jobs before any runs: schedules and their zones, overrides in the environment, times that
daylight saving takes away or repeats, policies that do not go together, destructive jobs without a guard, and
clean-ups that no index serves, which the planner of the database is asked for (DATABASE_URL; else the embedded
one, which is made where there is none). Each finding names the job, what is wrong, and the remedy.

  --strict        warnings count as well
  --no-database   look into no database
  --json          print one JSON object

Exit code: 0 nothing wrong (notes never count, warnings with --strict only), 1 findings, 2 usage`

export const checkCommand: Command = { usage: USAGE, run: check }

async function check(args: string[], terminal: Terminal): Promise<number> {
  const values = parseOptions(args, {
    strict: { type: 'boolean' },
    'no-database': { type: 'boolean' },
    json: { type: 'boolean' },
  })
  const result = await findAll(!values['no-database'], terminal.variables)
  const counts = countFindings(result.findings)
  const isOk = counts.error === 0 && (counts.warning === 0 || !values.strict)
  terminal.stdout.write(
    values.json
      ? `${JSON.stringify({ isOk, counts, ...result })}\n`
      : `${formatFindings(result, standardLayout(terminal.stdout))}\n`,
  )
  return isOk ? 0 : 1
}

async function findAll(
  withDatabase: boolean,
  given: NodeJS.ProcessEnv | undefined,
): Promise<CheckResult> {
  try {
    // Here and not above: a definition that is refused is so when it is imported.
    const [{ checkProject }, { environmentVariables }] = await Promise.all([
      import('./checkProject.ts'),
      import('../env.ts'),
    ])
    const variables = given ?? environmentVariables()
    return await checkProject({ variables, withDatabase, now: new Date() })
  } catch (error) {
    const first = explainDefinitionError(error)
    if (first === null) throw error
    const findings = await findRefusedDefinitions(new URL(import.meta.resolve('@roundsman/jobs')))
    const unchecked = [{ what: 'all else', reason: 'the definitions could not be read' }]
    return { jobs: [], findings: findings.length > 0 ? findings : [first], unchecked }
  }
}

/**
 * What `defineJob` refuses in a catalogue, each file by itself: the catalogue as a whole cannot be imported, and the
 * first error of it is the last that it tells.
 */
export async function findRefusedDefinitions(catalogue: URL): Promise<Finding[]> {
  const files = await readdir(new URL('.', catalogue))
  const modules = files
    .filter((file) => extname(file) === extname(catalogue.pathname))
    .toSorted()
    .map((file) => new URL(file, catalogue))
    .filter(({ href }) => href !== catalogue.href)
  const findings: Finding[] = []
  for (const { href } of modules) {
    try {
      await import(href)
    } catch (error) {
      const finding = explainDefinitionError(error)
      // Two files may import the same one that is refused.
      if (finding && !findings.some(({ job }) => job === finding.job)) findings.push(finding)
    }
  }
  return findings
}

/** What `defineJob` has refused, or null when the error is of another kind. */
export function explainDefinitionError(error: unknown): Finding | null {
  if (!(error instanceof TypeError)) return null
  const [, job, problem] = /^Job "([^"]*)": (.+)$/.exec(error.message) ?? []
  if (job === undefined || problem === undefined) return null
  return {
    severity: 'error',
    code: 'definition_invalid',
    job,
    problem,
    remedy: 'correct it where the job is defined; nothing else could be checked until then',
  }
}
