import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { cronVariable } from '../apps/worker/src/cronVariable.ts'
import { jobs } from '@roundsman/jobs'
import { createJob, type CreateJobRequest } from './newJob/createJob.ts'
import { batchName } from './newJob/writeHandler.ts'

const USAGE = `Usage: pnpm new:job <name> [--schedule "<cron>"] [--cleanup]

Adds a job with its handler and tests, and registers it: format, lint, types and tests pass at once. You write what it
does.

  <name>               what the job does, in camelCase: sendReminders
  --schedule "<cron>"  when it runs, in UTC: "0 4 * * *". Default: only when it is enqueued
  --cleanup            it goes through many rows in batches, which are written as well, with tests of them

Exit code: 0 written, 2 usage, with nothing changed`

process.exitCode = await main(process.argv.slice(2))

async function main(args: string[]): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(`${USAGE}\n`)
    return 0
  }
  const request = read(args)
  if (typeof request === 'string') return refuse(request)
  const result = await createJob(
    join(import.meta.dirname, '..'),
    request,
    jobs.map(({ name }) => name),
  )
  if (result.kind === 'refused') return refuse(result.reason)
  const { name, cron, isCleanup } = request
  const lines = [
    'Written:',
    ...result.written.map(({ path, what }) => `  ${path}  (${what})`),
    '',
    'Next:',
    `  1. Write ${isCleanup ? batchName(name) : 'it'} in apps/worker/src/jobs/${name}.ts. Until then a run fails with code not_written.`,
    isCleanup
      ? `  2. In apps/worker/test/jobs/${name}.test.ts, put the product's table in the place of "Piece".`
      : `  2. Write in apps/worker/test/jobs/${name}.test.ts what it does.`,
    `  3. Correct the description in packages/jobs/src/${name}.ts: people read it.`,
    `  4. See it pass: npx vitest run apps/worker/test/jobs/${name}.test.ts, pnpm check, pnpm worker:check`,
    `  5. Try it: pnpm worker:once ${name} --dry-run`,
    ...(cron === null
      ? [
          'Give it a payload where it is defined, if it needs one; who enqueues it is told by the types.',
        ]
      : [
          `${cronVariable(name)} overrides its schedule; add it to the variables in docs/environment.md.`,
        ]),
    ...(isCleanup
      ? [
          'If it takes rows away, set isDestructive and a guard where it is defined, and make the handler with sweepHandler.',
        ]
      : []),
  ]
  process.stdout.write(`${lines.join('\n')}\n`)
  return 0
}

/** Reads the command line: the request, or what is wrong with it. */
function read(args: string[]): CreateJobRequest | string {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { schedule: { type: 'string' }, cleanup: { type: 'boolean' } },
    })
    const [name, ...rest] = positionals
    if (name === undefined) return 'Which name should the job have?'
    if (rest.length > 0) {
      return `One job at a time; "${rest.join(' ')}" is too much. A cron expression goes behind --schedule, in quotes`
    }
    return { name, cron: values.schedule ?? null, isCleanup: values.cleanup ?? false }
  } catch (error) {
    return (error as Error).message
  }
}

function refuse(reason: string): number {
  process.stderr.write(`${reason}\n\n${USAGE}\n`)
  return 2
}
