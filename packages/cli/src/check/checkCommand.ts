import { readdir } from 'node:fs/promises'
import { extname } from 'node:path'
import type { CheckResult, Finding } from './finding.ts'
import { countFindings, formatFindings } from './formatFindings.ts'
import { standardLayout } from '../command/layout.ts'
import { parseOptions } from '../command/parseOptions.ts'
import { ForeseenError, UsageError, type Command, type Terminal } from '../command/runCommand.ts'

export interface CheckOptions {
  withDatabase: boolean
  /** The address of a database: what this build would do to the steps and signals that are in flight there. */
  against?: string | undefined
  now: Date
}

export interface CheckCommandOptions {
  /** The words before its arguments: `roundsman check`. */
  call: string
  /** A paragraph for --help: its other checks, in addition to the definitions. */
  about: string
  /** Rejects with the error of `defineJob` if a definition is refused. */
  check(options: CheckOptions, terminal: Terminal): Promise<CheckResult>
  /** The catalogue's file, to find all refused definitions. Null if unknown: then only the first is reported. */
  catalogue: () => URL | null
}

const usage = ({
  call,
  about,
}: CheckCommandOptions) => `Usage: ${call} [--against <database>] [--strict] [--no-database] [--json]

${about}

  --against       before a deployment: the address of its database, such as "$DATABASE_URL". Instead of what else needs a database it
                  finds jobs, steps and signals in flight that this build lacks, and stored results and payloads that its
                  schemas refuse, in 10,000 pieces of work of each job and 10,000 signals. It only reads
  --strict        count warnings as findings
  --no-database   skip checks that need the database
  --json          print one JSON object

Exit code: 0 no findings (notes never count, warnings only with --strict), 1 findings, 2 usage`

export function createCheckCommand(options: CheckCommandOptions): Command {
  return { usage: usage(options), run: (args, terminal) => check(args, terminal, options) }
}

async function check(
  args: string[],
  terminal: Terminal,
  options: CheckCommandOptions,
): Promise<number> {
  const values = parseOptions(args, {
    strict: { type: 'boolean' },
    'no-database': { type: 'boolean' },
    json: { type: 'boolean' },
    against: { type: 'string' },
  })
  const { against } = values
  if (against !== undefined && values['no-database'])
    throw new UsageError('--against needs the database: leave out --no-database')
  const question = { withDatabase: !values['no-database'], against, now: new Date() }
  const result = await findAll(question, terminal, options)
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
  question: CheckOptions,
  terminal: Terminal,
  options: CheckCommandOptions,
): Promise<CheckResult> {
  try {
    return await options.check(question, terminal)
  } catch (error) {
    const first = explainDefinitionError(error)
    if (first === null) throw error
    const catalogue = options.catalogue()
    const findings = catalogue === null ? [] : await findRefusedDefinitions(catalogue)
    const unchecked = [{ what: 'everything else', reason: 'the definitions could not be read' }]
    return { jobs: [], findings: findings.length > 0 ? findings : [first], unchecked }
  }
}

/**
 * Imports each file of a catalogue separately and reports the refusals of `defineJob`. An import of the whole catalogue would
 * stop at the first error.
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
      // Two files may import the same refused definition.
      if (finding && !findings.some(({ job }) => job === finding.job)) findings.push(finding)
    }
  }
  return findings
}

/** Converts an error of `defineJob` to a finding. Null for any other error. */
export function explainDefinitionError(error: unknown): Finding | null {
  // loadConfig wraps an error in an import of the configuration.
  if (error instanceof ForeseenError) return explainDefinitionError(error.cause)
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
