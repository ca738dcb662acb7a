import { createRequire, getCompileCacheDir } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { nextRuns } from '../../apps/worker/src/nextRuns.ts'
import {
  acquireEmbeddedPostgres,
  databaseProblem,
  findFreePort,
} from '../../packages/db/src/index.ts'
import { EnvironmentError } from '../../packages/process/src/index.ts'
import { migrateDatabase } from '../migrate/migrateDatabase.ts'
import { runTurbo } from '../runTurbo.ts'
import { DEMO_PASSWORD, seedDemoData } from '../seed/seedDemoData.ts'
import { awaitPorts } from './awaitPorts.ts'
import { createLineFormatter } from './createLineFormatter.ts'
import { createPaint } from './createPaint.ts'
import type { Progress } from './createProgress.ts'
import { INTERRUPTED, type StopRequest } from './createStopRequest.ts'
import { describeStack } from './describeStack.ts'
import { drawBox } from './drawBox.ts'
import { findPortProblems, type WantedPort } from './findPortProblems.ts'
import { readStackEnvironment, type StackEnvironment } from './readStackEnvironment.ts'
import { superviseProcesses, type ProcessEnd, type Supervisor } from './superviseProcesses.ts'
import { takeTurn } from './takeTurn.ts'
import { waitUntilReady } from './waitUntilReady.ts'

const WORKSPACE_ROOT = join(import.meta.dirname, '../..')
/** The inbox shows mail to everybody who reaches it. */
const INBOX_HOST = '127.0.0.1'
const READY_TIMEOUT_MS = 60_000
/** For those who begin in the same moment, one after the other. */
const TURN_TIMEOUT_MS = 3 * READY_TIMEOUT_MS

export interface StartOptions {
  /** Runs from source, and again at each change. */
  isDev: boolean
  progress: Progress
  stopRequest: StopRequest
}

interface Stack extends StartOptions {
  env: StackEnvironment
  host: string
  apiPort: number
  workerPort: number
  inbox: InboxPorts | null
  database: OpenDatabase
  demoUsers: { email: string; role: string }[]
  /** How to start this again, for remedies. */
  command: string
}

interface InboxPorts {
  webPort: number
  smtpPort: number
}

interface OpenDatabase {
  url: string
  isEmbedded: boolean
  /** Where it is, for people. */
  place: string
  release(): Promise<void>
}

/**
 * The whole stack, from its environment to its end. Resolves to the exit code once nothing of it is left.
 * @throws EnvironmentError before anything was started
 */
export async function start(options: StartOptions): Promise<number> {
  const { isDev, progress, stopRequest } = options
  const { signal } = stopRequest
  const env = readStackEnvironment(process.env)
  const command = isDev ? 'npx -y pnpm@12 dev' : 'npx -y pnpm@12 start'
  const host = env.api.HOST
  const apiPort = env.api.PORT || (await findFreePort(host))
  const workerPort = env.worker.WORKER_PORT || (await findFreePort(host))
  const inbox = env.inbox && {
    webPort: env.inbox.INBOX_PORT || (await findFreePort(INBOX_HOST)),
    // Nobody but the worker, which is told, has to find it.
    smtpPort: await findFreePort(INBOX_HOST),
  }
  await awaitPorts({
    host,
    ports: wantedPorts({ apiPort, workerPort, inbox }),
    command,
    readyUrls: [apiPort, workerPort].map((port) => `${urlOf(host, port)}/health/ready`),
    drainTimeoutMs: env.worker.DRAIN_TIMEOUT_MS,
    onWait: () => process.stdout.write('Waiting for an earlier start to finish its work…\n'),
    signal,
  })
  if (!isDev) await progress.step('Building', () => runTurbo('build', { signal }))

  const database = await openDatabase(env, progress, signal)
  const running: { supervisor?: Supervisor } = {}
  stopRequest.onImpatience(() => {
    if (running.supervisor) running.supervisor.kill()
    // Nobody else would stop the embedded database.
    else void database.release().finally(() => process.exit(INTERRUPTED))
  })
  try {
    await progress.step('Migrating', () =>
      migrateDatabase({ url: database.url, jobs: env.worker.jobs }),
    )
    signal.throwIfAborted()
    // Everybody knows the demo accounts' password.
    const demoUsers = env.isProduction ? [] : await addDemoData(database, progress)
    signal.throwIfAborted()
    const ports = { apiPort, workerPort, inbox }
    const stack = { ...options, env, host, ...ports, database, demoUsers, command }
    const supervisor = await takeTurn(
      { url: database.url, timeoutMs: TURN_TIMEOUT_MS, signal },
      async () => {
        await refuseTakenPorts(stack)
        running.supervisor = superviseStack(stack)
        await becomeReady(stack, running.supervisor)
        return running.supervisor
      },
    )
    return await run(stack, supervisor)
  } finally {
    await running.supervisor?.stop()
    await database.release()
  }
}

async function openDatabase(
  env: StackEnvironment,
  progress: Progress,
  signal: AbortSignal,
): Promise<OpenDatabase> {
  const { DATABASE_URL: url, DATA_DIR: dataDir } = env.api
  if (url === undefined) {
    const server = await progress.step('Starting PostgreSQL', (onProgress) =>
      acquireEmbeddedPostgres({ dataDir, onProgress, signal }),
    )
    // The folder, or a link to it where PostgreSQL may not enter this one.
    return { ...server, isEmbedded: true, place: join(dataDir, 'postgres') }
  }
  const problem = await progress.step('Connecting to the database', () => databaseProblem(url))
  if (problem !== null) throw new EnvironmentError([problem])
  const { host, pathname } = new URL(url)
  return { url, isEmbedded: false, place: `${host}${pathname}`, release: async () => undefined }
}

async function addDemoData(database: OpenDatabase, progress: Progress) {
  const { demoUsers } = await progress.step('Demo data', () => seedDemoData(database.url))
  return demoUsers
}

function superviseStack({ isDev, env, apiPort, workerPort, inbox }: Stack): Supervisor {
  const compileCache = getCompileCacheDir()
  const processEnv = {
    ...process.env,
    ROUNDSMAN_SUPERVISED: '1',
    PORT: String(apiPort),
    WORKER_PORT: String(workerPort),
    // Halves the time that loading the code takes.
    ...(compileCache && { NODE_COMPILE_CACHE: compileCache }),
  }
  const toArgs = (app: string, program: string) =>
    isDev ? watch(`apps/${app}/src/${program}.ts`) : [`apps/${app}/dist/${program}.js`]
  return superviseProcesses({
    processes: [
      { name: 'api', args: toArgs('api', 'server'), env: processEnv },
      {
        name: 'worker',
        args: toArgs('worker', 'main'),
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
              args: ['scripts/inbox/main.ts'],
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
 * Builds the console again at each change. The API serves what is built, as in production: from the same origin and
 * under the same policy, which a server of Vite's own would need exceptions from.
 */
function watchConsole(): string[] {
  const vite = join(WORKSPACE_ROOT, 'apps/console/node_modules/vite/bin/vite.js')
  return [...END_WITH_INPUT, vite, 'build', 'apps/console', '--watch', '--clearScreen=false']
}

const END_WITH_INPUT = [
  '--import',
  pathToFileURL(join(import.meta.dirname, 'endWithInput.ts')).href,
]

/** Runs again at each change, once the earlier one has ended, so that nothing is there twice. */
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

/** Two starts that take turns after they looked for the first time look again. */
async function refuseTakenPorts(stack: Stack): Promise<void> {
  const { host, command } = stack
  const problems = await findPortProblems({ host, command, ports: wantedPorts(stack) })
  if (problems.length > 0) throw new EnvironmentError(problems.map(({ message }) => message))
}

/** @throws Error that says what did not get there, with its last lines */
async function becomeReady(stack: Stack, supervisor: Supervisor): Promise<void> {
  const { isDev, host, apiPort, workerPort, inbox, progress, stopRequest } = stack
  const giveUp = new AbortController()
  const readiness = waitUntilReady({
    checks: [
      { name: 'api', url: `${urlOf(host, apiPort)}/health/ready` },
      { name: 'worker', url: `${urlOf(host, workerPort)}/health/ready` },
      ...(isDev ? [{ name: 'console', url: `${urlOf(host, apiPort)}/console/` }] : []),
      ...(inbox ? [{ name: 'inbox', url: `${urlOf(INBOX_HOST, inbox.webPort)}/health` }] : []),
    ],
    timeoutMs: READY_TIMEOUT_MS,
    signal: AbortSignal.any([giveUp.signal, stopRequest.signal]),
  })
  // It is not awaited any more once a process has ended.
  readiness.catch(() => undefined)
  const outcome = await progress.step(
    inbox ? 'Starting API, worker and inbox' : 'Starting API and worker',
    () => Promise.race([readiness, supervisor.firstEnd]),
  )
  if (!Array.isArray(outcome)) {
    giveUp.abort()
    await supervisor.ended
    // Somebody else's program may have been faster.
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

/** From the box to the end of the last process. */
async function run(stack: Stack, supervisor: Supervisor): Promise<number> {
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

function describe(stack: Stack): string {
  const { isDev, env, host, apiPort, workerPort, inbox, database, demoUsers } = stack
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

function wantedPorts({
  apiPort,
  workerPort,
  inbox,
}: Pick<Stack, 'apiPort' | 'workerPort' | 'inbox'>): WantedPort[] {
  return [
    { variable: 'PORT', port: apiPort },
    { variable: 'WORKER_PORT', port: workerPort },
    ...(inbox ? [{ variable: 'INBOX_PORT' as const, port: inbox.webPort, host: INBOX_HOST }] : []),
  ]
}

/** An address that this machine reaches, also where we listen on all of them. */
function urlOf(host: string, port: number): string {
  const reachable = { '0.0.0.0': '127.0.0.1', '::': '::1' }[host] ?? host
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`
}

async function aborted(signal: AbortSignal): Promise<undefined> {
  if (signal.aborted) return
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
}
