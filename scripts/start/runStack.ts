import { createRequire, getCompileCacheDir } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { EnvironmentError } from '@roundsman/node-app'
import { prettyFactory } from 'pino-pretty'
import { nextRuns } from '../../apps/worker/src/env.ts'
import { migrateDatabase } from '../migrate/migrateDatabase.ts'
import { mayAddDemoData, mayAddDemoJobs } from '../seed/mayAddDemoData.ts'
import { DEMO_PASSWORD, seedDemoData } from '../seed/seedDemoData.ts'
import { createPaint } from './createPaint.ts'
import { INTERRUPTED } from './createStopRequest.ts'
import { describeStack, drawBox } from './describeStack.ts'
import { findPortProblems } from './findPortProblems.ts'
import type { DatabaseOpening, StackDatabase } from './startDatabase.ts'
import type { StackEnvironment } from './readStackEnvironment.ts'
import { INBOX_HOST, readyUrl, urlOf, wantedPorts, type StackPorts } from './stackPorts.ts'
import type { StartOptions } from './start.ts'
import { superviseProcesses, type ProcessEnd, type Supervisor } from './superviseProcesses.ts'
import { withStartLock } from './withStartLock.ts'
import { waitUntilReady } from './waitUntilReady.ts'

const WORKSPACE_ROOT = join(import.meta.dirname, '../..')
const READY_TIMEOUT_MS = 60_000
/** How long a start waits for others that began at the same moment: they take turns. */
const TURN_TIMEOUT_MS = 3 * READY_TIMEOUT_MS

export interface RunStackOptions extends StartOptions {
  env: StackEnvironment
  ports: StackPorts
  /** The command that starts this again, for remedies. */
  command: string
  /** The build under way; undefined when nothing has to be built. */
  building: Promise<void> | undefined
  /** The database that is being opened. The caller releases it. */
  opening: DatabaseOpening
}

interface OpenStack extends RunStackOptions {
  database: StackDatabase
  demoUsers: { email: string; role: string }[]
}

/**
 * Runs API, worker and inbox to their end, and resolves to the exit code. Built processes start early and are held:
 * they load their code while the database is prepared. In dev none is held: each reload would have to be told to begin.
 */
export async function runStack(options: RunStackOptions): Promise<number> {
  const { isDev, env, progress, stopRequest, building, opening } = options
  const { signal } = stopRequest
  const running: { supervisor?: Supervisor; database?: StackDatabase; isBegun?: boolean } = {}
  stopRequest.onImpatience(() => {
    running.supervisor?.kill()
    if (running.isBegun) return
    // Before the processes begin, nobody else would stop the embedded database.
    void running.database?.release().finally(() => process.exit(INTERRUPTED))
  })
  try {
    if (building) await progress.step('Building', () => building)
    if (!isDev) running.supervisor = superviseStack(options)
    const database = await progress.step(opening.title, (note) => {
      opening.listen(note)
      return opening.opened
    })
    running.database = database
    await progress.step('Migrating', () => migrateDatabase(database.url, env.api))
    signal.throwIfAborted()
    // Everybody knows the demo accounts' password, so production gets none.
    const isDemo = !env.isProduction && mayAddDemoData(process.env)
    const demoUsers = isDemo ? await addDemoData(database, progress) : []
    signal.throwIfAborted()
    const stack: OpenStack = { ...options, database, demoUsers }
    const supervisor = await withStartLock(
      { url: database.url, timeoutMs: TURN_TIMEOUT_MS, signal },
      async () => {
        await refuseTakenPorts(stack)
        running.isBegun = true
        if (running.supervisor) running.supervisor.release()
        else running.supervisor = superviseStack(stack)
        await becomeReady(stack, running.supervisor)
        return running.supervisor
      },
    )
    return await run(stack, supervisor)
  } finally {
    await running.supervisor?.stop()
  }
}

async function addDemoData(database: StackDatabase, progress: StartOptions['progress']) {
  const withJobs = mayAddDemoJobs(process.env)
  const { demoUsers } = await progress.step('Demo data', () =>
    seedDemoData(database.url, { withJobs }),
  )
  return demoUsers
}

/** Spawns API, worker, console's build (in dev) and inbox. */
function superviseStack({ isDev, env, ports }: RunStackOptions): Supervisor {
  const { apiPort, workerPort, inbox } = ports
  const compileCache = getCompileCacheDir()
  const processEnv = {
    ...process.env,
    ROUNDSMAN_SUPERVISED: '1',
    ROUNDSMAN_HELD: String(!isDev),
    ROUNDSMAN_DEMO: String(!env.isProduction && mayAddDemoJobs(process.env)),
    PORT: String(apiPort),
    WORKER_PORT: String(workerPort),
    // The compile cache halves the time in which they load their code.
    ...(compileCache && { NODE_COMPILE_CACHE: compileCache }),
  }
  const toArgs = (app: string, program: string) =>
    isDev ? watch(`apps/${app}/src/${program}.ts`) : [`apps/${app}/dist/${program}.js`]
  return superviseProcesses({
    processes: [
      { name: 'api', args: toArgs('api', 'server'), env: processEnv },
      {
        name: 'worker',
        // With source maps, the stack of a failed run names lines of the source.
        args: ['--enable-source-maps', ...toArgs('worker', 'main')],
        env: {
          ...processEnv,
          ...(inbox && { SMTP_URL: `smtp://${INBOX_HOST}:${inbox.smtpPort}` }),
        },
      },
      ...(isDev ? [{ name: 'console', args: watchConsole(), env: processEnv }] : []),
      ...(inbox
        ? [
            {
              name: 'inbox',
              args: ['--conditions=@roundsman/source', 'scripts/inbox/main.ts'],
              env: {
                ...processEnv,
                INBOX_PORT: String(inbox.webPort),
                INBOX_SMTP_PORT: String(inbox.smtpPort),
              },
            },
          ]
        : []),
    ],
    cwd: WORKSPACE_ROOT,
    drainTimeoutMs: env.worker.DRAIN_TIMEOUT_MS,
    output: process.stdout,
    formatLine: createLineFormatter(process.stdout),
  })
}

/**
 * Arguments of a process that builds the console again at each change. The API serves the build, as in production:
 * Vite's own server would be another origin and need exceptions from the API's policy.
 */
function watchConsole(): string[] {
  const vite = join(WORKSPACE_ROOT, 'apps/console/node_modules/vite/bin/vite.js')
  return [...END_WITH_INPUT, vite, 'build', 'apps/console', '--watch', '--clearScreen=false']
}

const END_WITH_INPUT = [
  '--import',
  pathToFileURL(join(import.meta.dirname, 'endWithInput.ts')).href,
]

/**
 * Arguments of a process that runs a program again at each change, after the earlier one has ended, so that none runs
 * twice.
 */
function watch(program: string): string[] {
  return [
    ...END_WITH_INPUT,
    createRequire(import.meta.url).resolve('tsx/cli'),
    'watch',
    '--clear-screen=false',
    '--conditions=@roundsman/source',
    program,
  ]
}

/** Looks at the ports again: of two starts that found them free and took turns, the second finds them taken. */
async function refuseTakenPorts({ ports, command }: RunStackOptions): Promise<void> {
  const { host } = ports
  const problems = await findPortProblems({ host, command, ports: wantedPorts(ports) })
  if (problems.length > 0) throw new EnvironmentError(problems.map(({ message }) => message))
}

/**
 * Waits until all processes can work.
 * @throws Error that names those that can't or ended, with their last lines
 */
async function becomeReady(stack: OpenStack, supervisor: Supervisor): Promise<void> {
  const { isDev, progress, stopRequest } = stack
  const { host, apiPort, workerPort, inbox } = stack.ports
  const giveUp = new AbortController()
  const readiness = waitUntilReady({
    checks: [
      { name: 'api', url: readyUrl(host, apiPort) },
      { name: 'worker', url: readyUrl(host, workerPort) },
      ...(isDev ? [{ name: 'console', url: `${urlOf(host, apiPort)}/console/` }] : []),
      ...(inbox ? [{ name: 'inbox', url: `${urlOf(INBOX_HOST, inbox.webPort)}/health` }] : []),
    ],
    timeoutMs: READY_TIMEOUT_MS,
    signal: AbortSignal.any([giveUp.signal, stopRequest.signal]),
  })
  // Once a process has ended, nobody awaits it any more.
  readiness.catch(() => undefined)
  const outcome = await progress.step(
    inbox ? 'Starting API, worker and inbox' : 'Starting API and worker',
    () => Promise.race([readiness, supervisor.firstEnd]),
  )
  if (!Array.isArray(outcome)) {
    giveUp.abort()
    await supervisor.ended
    // It may have ended because another program took its port meanwhile.
    await refuseTakenPorts(stack)
    const lines = quote(supervisor.lastLines(outcome.name))
    throw new Error(`The ${describeEnd(outcome)} while it started.\n${lines}`)
  }
  if (outcome.length === 0) return
  const reports = outcome.map(({ name, answer }) => {
    const lines = quote(supervisor.lastLines(name))
    return `The ${name} was not ready after ${READY_TIMEOUT_MS / 1_000} s: ${answer}\n${lines}`
  })
  throw new Error(reports.join('\n'))
}

/** Prints the box, and resolves once the last process has ended: to 0 after a request to stop, else to 1. */
async function run(stack: OpenStack, supervisor: Supervisor): Promise<number> {
  supervisor.print()
  process.stdout.write(`\n${describe(stack)}\n`)
  const end = await Promise.race([supervisor.firstEnd, aborted(stack.stopRequest.signal)])
  if (end === undefined) process.stdout.write('Stopping… (Ctrl-C once more stops at once)\n')
  else process.stderr.write(`The ${describeEnd(end)}: stopping everything.\n`)
  await supervisor.stop()
  process.stdout.write('Stopped.\n')
  return end === undefined ? 0 : 1
}

function describeEnd({ name, exitCode }: ProcessEnd): string {
  const how = typeof exitCode === 'number' ? `exit code ${exitCode}` : exitCode
  return `${name} ended (${how})`
}

function quote(lines: string[]): string {
  if (lines.length === 0) return 'It wrote nothing.'
  return `Its last lines:\n${lines.map((line) => `  ${line}`).join('\n')}`
}

/** The box that tells where all is and how to log in. */
function describe(stack: OpenStack): string {
  const { isDev, env, database, demoUsers } = stack
  const { host, apiPort, workerPort, inbox } = stack.ports
  const now = new Date()
  const paint = createPaint(process.stdout)
  const lines = describeStack(
    {
      apiUrl: urlOf(host, apiPort),
      workerUrl: urlOf(host, workerPort),
      inboxUrl: inbox && urlOf(INBOX_HOST, inbox.webPort),
      demoUsers,
      demoPassword: DEMO_PASSWORD,
      jobsEnabled: env.worker.JOBS_ENABLED,
      nextRuns: nextRuns(env.worker, now),
      database,
      isDev,
      now,
    },
    paint,
  )
  return drawBox('Roundsman', lines, paint)
}

async function aborted(signal: AbortSignal): Promise<undefined> {
  if (signal.aborted) return
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
}

/** Makes log lines readable on a terminal. Elsewhere they stay JSON. */
function createLineFormatter(stream: NodeJS.WriteStream): (line: string) => string {
  if (!stream.isTTY) return (line) => line
  const format = prettyFactory({
    colorize: stream.hasColors(),
    ignore: 'app,pid,hostname',
    translateTime: 'SYS:HH:MM:ss',
    singleLine: true,
  })
  return (line) => (line.startsWith('{') ? format(line) : line)
}
