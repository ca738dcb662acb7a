export interface Check {
  name: string
  /** Resolves to the problems that it found; none when all is well. An error is a problem, too. */
  run(): Promise<readonly string[]>
}

export interface RunChecksOptions {
  /** The step on which the checks build. They run even if it fails: most still find something. */
  prepare?: Check
  checks: readonly Check[]
  write(text: string): void
}

interface Result {
  name: string
  problems: readonly string[]
}

/**
 * Runs all checks at the same time, because they only read, whatever becomes of the others. It prints a line for each
 * in the given order, then the problems, and resolves to whether there were none.
 */
export async function runChecks({ prepare, checks, write }: RunChecksOptions): Promise<boolean> {
  const results: Result[] = []
  const settle = async (check: Check) => {
    const startedAt = performance.now()
    const problems = await check.run().catch((error: unknown) => [describe(error)])
    const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1)
    const verdict = problems.length === 0 ? 'PASS' : 'FAIL'
    return {
      name: check.name,
      problems,
      line: `${verdict}  ${check.name.padEnd(16)} ${seconds} s\n`,
    }
  }
  const report = ({ line, ...result }: Result & { line: string }) => {
    write(line)
    results.push(result)
  }

  if (prepare) report(await settle(prepare))
  for (const settled of checks.map(settle)) report(await settled)
  const failed = results.filter(({ problems }) => problems.length > 0)
  for (const { name, problems } of failed) write(`\n${name}\n${problems.map(indent).join('\n')}\n`)
  write(`\n${results.length - failed.length} checks passed, ${failed.length} failed\n`)
  return failed.length === 0
}

function indent(text: string): string {
  return text.replaceAll(/^(?=.)/gm, '  ')
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
