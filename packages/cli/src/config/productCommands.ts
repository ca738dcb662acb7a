import { isScheduled, JobError, withEngineJobs } from '@roundsman/engine'
import { checkMigrations } from '@roundsman/engine/internal'
import { runOnce, type RunOnceResult } from '@roundsman/engine/worker'
import { checkClockChanges } from '../check/checkClockChanges.ts'
import { createCheckCommand } from '../check/checkCommand.ts'
import { checkDefinitions } from '../check/checkDefinitions.ts'
import { checkSchedules } from '../check/checkSchedules.ts'
import { checkVacuum } from '../check/checkVacuum.ts'
import type { CheckResult, Finding } from '../check/finding.ts'
import { currentUser } from '../command/currentUser.ts'
import { ForeseenError, type Terminal } from '../command/runCommand.ts'
import type { ControlledProduct } from '../control/controlledProduct.ts'
import { createQueueCommand } from '../control/queueCommand.ts'
import { createWorkCommand } from '../control/workCommand.ts'
import { createImportCommand } from '../import/importCommand.ts'
import { createListCommand } from '../list/listCommand.ts'
import { createOnceCommand, type OnceRequest, type OnceTerminal } from '../once/onceCommand.ts'
import { createDeadLettersCommand } from '../runs/deadLettersCommand.ts'
import { createRunsCommand } from '../runs/runsCommand.ts'
import { createSimulateCommand } from '../simulate/simulateCommand.ts'
import { asForeseen } from './asForeseen.ts'
import type { LoadedConfig } from './loadConfig.ts'
import { openProduct, requireConfig, requireDatabaseUrl } from './openProduct.ts'

export const listCommand = createListCommand({ call: 'roundsman list', open: openProduct })

export const runsCommand = createRunsCommand({ call: 'roundsman runs', open: openProduct })

export const deadLettersCommand = createDeadLettersCommand({
  call: 'roundsman dead-letters',
  once: 'roundsman once',
  open: openProduct,
})

export const simulateCommand = createSimulateCommand({
  call: 'roundsman simulate',
  open: openProduct,
})

export const queueCommand = createQueueCommand({ call: 'roundsman queue', open: openControlled })

export const workCommand = createWorkCommand({ call: 'roundsman work', open: openControlled })

export const importCommand = createImportCommand({ call: 'roundsman import', open: openControlled })

async function openControlled({ variables = {} }: Terminal): Promise<ControlledProduct> {
  const loaded = await requireConfig()
  const { jobs, schema } = loaded.config
  return {
    jobs: withEngineJobs(jobs),
    within: (work) =>
      asForeseen(() => work({ databaseUrl: requireDatabaseUrl(loaded, variables), schema })),
  }
}

const CHECK = `Finds problems of jobs before they run: schedules and their zones, times that daylight saving skips or
repeats, policies that do not go together, destructive jobs without a guard, tables that are missing in the
database of DATABASE_URL, and who keeps it from removing old rows. Each finding names the job, the problem and the remedy.`

export const checkCommand = createCheckCommand({
  call: 'roundsman check',
  about: CHECK,
  check: checkProduct,
  catalogue: () => null,
})

async function checkProduct(
  { withDatabase, now }: { withDatabase: boolean; now: Date },
  terminal: Terminal,
): Promise<CheckResult> {
  const product = await openProduct(terminal)
  const { jobs } = product
  const scheduled = jobs.filter(isScheduled)
  const findings: Finding[] = [
    ...checkDefinitions(product),
    ...checkSchedules(scheduled, now, null),
    ...checkClockChanges(scheduled, now),
  ]
  const reason = withDatabase ? await findTablesProblem(terminal) : null
  if (reason !== null) {
    findings.push({
      severity: 'error',
      code: 'database_unusable',
      job: null,
      problem: reason,
      remedy: 'correct it, or leave the database out with --no-database',
    })
  } else if (withDatabase) {
    const { found } = await product.look((reader) => checkVacuum(reader, now))
    findings.push(...(found ?? []))
  }
  const unchecked = withDatabase
    ? []
    : [{ what: 'whether the tables are there', reason: '--no-database was given' }]
  return { jobs: jobs.map(({ name }) => name), findings, unchecked }
}

async function findTablesProblem({ variables = {} }: Terminal): Promise<string | null> {
  const loaded = await requireConfig()
  try {
    const databaseUrl = requireDatabaseUrl(loaded, variables)
    const { schema } = loaded.config
    const { problem } = await asForeseen(() => checkMigrations({ databaseUrl, schema }))
    return problem?.message ?? null
  } catch (error) {
    if (error instanceof ForeseenError) return error.message
    throw error
  }
}

export const onceCommand = createOnceCommand({
  call: 'roundsman once',
  deadLetterList: 'npx roundsman dead-letters',
  async open(terminal) {
    const loaded = await requireConfig()
    return {
      jobs: loaded.config.jobs,
      run: (request) => asForeseen(() => runHere(loaded, request, terminal)),
    }
  },
})

async function runHere(
  loaded: LoadedConfig,
  request: OnceRequest,
  terminal: OnceTerminal,
): Promise<RunOnceResult> {
  const { path, config } = loaded
  const databaseUrl = requireDatabaseUrl(loaded, terminal.variables ?? {})
  if (!config.open) {
    throw new ForeseenError(
      `${path} has no \`open\`, which opens what handlers need: have it return { client, handlers, close }`,
    )
  }
  const { client, handlers, close } = await config.open()
  try {
    const { name } = request.job
    const handler = Object.hasOwn(handlers, name) ? handlers[name] : undefined
    if (!handler) throw new ForeseenError(`${path}: \`open\` gives no handler of ${name}`)
    const stop = new AbortController()
    const wish = terminal.listenForStop()
    wish.addEventListener('abort', () => {
      stop.abort(new JobError('cancelled', `Stopped by ${wish.reason}`, { retryable: false }))
    })
    return await runOnce({
      databaseUrl,
      schema: config.schema,
      client: client as never,
      job: request.job,
      handler,
      payload: request.payload,
      ...(request.deadLetter !== undefined && { deadLetter: request.deadLetter }),
      dryRun: request.isDryRun,
      actor: currentUser(),
      log: lineLog(terminal),
      signal: stop.signal,
    })
  } finally {
    await close?.()
  }
}

/** The engine's and the handler's log lines go to standard error, since standard output is for the result. */
function lineLog({ stderr }: Terminal) {
  const write = (level: string) => (message: unknown, fields?: object) => {
    const { err, ...rest } = (fields ?? {}) as { err?: unknown }
    const facts = Object.keys(rest).length > 0 ? ` ${JSON.stringify(rest)}` : ''
    const cause = err instanceof Error ? `\n  ${err.stack ?? err.message}` : ''
    stderr.write(`${level} ${String(message)}${facts}${cause}\n`)
  }
  return { info: write('info'), warn: write('warn'), error: write('error') }
}
