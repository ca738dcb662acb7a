import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { readAddress } from '@roundsman/engine/internal'
import { withEngineJobs } from '@roundsman/engine'
import { createJobsClient, listJobRuns } from '@roundsman/engine/client'
import { serveConsole } from '@roundsman/admin'
import { asksYes } from '../command/asksYes.ts'
import { standardLayout } from '../command/layout.ts'
import { parseOptions, parseWholeNumber } from '../command/parseOptions.ts'
import { withReader, type DatabasePlace } from '../command/product.ts'
import { ForeseenError, type Command, type ProcessTerminal } from '../command/runCommand.ts'
import { asForeseen } from '../config/asForeseen.ts'
import type { RoundsmanConfig } from '../config/config.ts'
import { findConfig } from '../config/loadConfig.ts'
import { requireConfig, requireDatabaseUrl } from '../config/openProduct.ts'
import { FIRST_JOB } from '../init/writeFiles.ts'
import { migrateInWords } from '../migrate/migrateInWords.ts'
import { isOnThisMachine, startLocalDatabase } from './localDatabase.ts'
import { superviseWorkers } from './superviseWorkers.ts'

const USAGE = `Usage: roundsman dev [--port N] [--yes]

Runs your jobs while you develop, beside your dev server. It starts the embedded PostgreSQL if your product has one,
creates the tables, runs a worker, and serves the console on this machine. It enqueues the first job that init wrote, if
that job never ran. The worker starts again when a file changes that roundsman.config.ts, the jobs or the handlers
import; what runs meanwhile finishes. A file with an error leaves the worker before at work.

It reads .env.local and .env. Before it uses a database on another machine, it names the database and asks. It refuses
to run with NODE_ENV=production.

  --port N  the console's port; default: any free port
  --yes     use a database on another machine without asking

Exit code: 0 stopped, 1 the environment needs attention, 2 usage`

export const devCommand: Command<ProcessTerminal> = {
  usage: USAGE,
  async run(args, terminal) {
    const values = parseOptions(args, { port: { type: 'string' }, yes: { type: 'boolean' } })
    const port = parseWholeNumber('--port', values.port, { min: 0, max: 65_535, otherwise: 0 })
    const { variables, stdout } = terminal
    if (variables['NODE_ENV'] === 'production') {
      throw new ForeseenError(
        'NODE_ENV is production, and roundsman dev is for development: start the worker by roundsman worker, or build it by roundsman build',
      )
    }
    const path = await findConfig(terminal.cwd)
    if (path !== null) readEnvFiles(dirname(path))
    const loaded = await requireConfig()
    const { config } = loaded
    const root = dirname(loaded.path)
    const say = (line: string) => void stdout.write(`${line}\n`)
    const local = await startLocalDatabase(
      root,
      config.databaseUrl ?? variables['DATABASE_URL'],
      say,
    )
    try {
      if (local) variables['DATABASE_URL'] = local.url
      if (local?.isNew) say('DATABASE_URL of the embedded PostgreSQL is in .env.')
      const databaseUrl = local?.url ?? requireDatabaseUrl(loaded, variables)
      if (!local && !(await mayUse(databaseUrl, values.yes ?? false, terminal))) return 1
      return await develop({ path: loaded.path, config, databaseUrl, port }, terminal)
    } finally {
      await local?.release()
    }
  },
}

/** As frameworks do in development: the first file that sets a variable wins, and the environment wins over both. */
function readEnvFiles(root: string): void {
  for (const name of ['.env.local', '.env']) {
    const file = join(root, name)
    if (existsSync(file)) process.loadEnvFile(file)
  }
}

/** Asks before anything is done to a database that others may use. */
async function mayUse(url: string, isYes: boolean, terminal: ProcessTerminal): Promise<boolean> {
  if (isOnThisMachine(url) || isYes) return true
  const { host, port, database } = readAddress(url)
  const { stdout, stdin } = terminal
  stdout.write(
    `The database "${database}" at ${host}:${port} is not on this machine. roundsman dev creates tables in it and runs jobs.\n`,
  )
  if (!stdin.isTTY) {
    stdout.write('Nothing was done: there is no terminal to ask. Run roundsman dev --yes.\n')
    return false
  }
  if (await asksYes(terminal, 'Use this database? [y/N] ')) return true
  stdout.write('Nothing was done.\n')
  return false
}

interface Development {
  /** The configuration's path. */
  path: string
  config: RoundsmanConfig
  databaseUrl: string
  port: number
}

async function develop(
  { path, config, databaseUrl, port }: Development,
  terminal: ProcessTerminal,
): Promise<number> {
  const { stdout } = terminal
  const { paint } = standardLayout(stdout)
  const { schema } = config
  const place = { databaseUrl, schema }
  const stop = terminal.listenForStop()
  stdout.write(`${await asForeseen(() => migrateInWords(place))}\n`)
  const served = await asForeseen(() =>
    serveConsole({
      databaseUrl,
      ...(schema !== undefined && { schema }),
      jobs: withEngineJobs(config.jobs),
      port,
    }),
  )
  const workers = superviseWorkers(path, terminal)
  try {
    const first = await asForeseen(() => enqueueFirstJob(config, place))
    if (first) stdout.write(`The first run of ${FIRST_JOB} is enqueued.\n`)
    stdout.write(`The console: ${paint('bold', served.link)}\n`)
    if (!stop.aborted) {
      await new Promise((done) => stop.addEventListener('abort', done, { once: true }))
    }
  } finally {
    await workers.stop()
    await served.close()
  }
  return 0
}

/** So that somebody who has just run init sees a run at once. */
async function enqueueFirstJob({ jobs }: RoundsmanConfig, place: DatabasePlace): Promise<boolean> {
  const job = jobs.find(({ name }) => name === FIRST_JOB)
  if (!job) return false
  const { runs } = await withReader(place, (reader) =>
    listJobRuns(reader, { name: FIRST_JOB, limit: 1 }),
  )
  if (runs.length > 0) return false
  const client = createJobsClient(place)
  try {
    await client.start()
    await client.enqueueNow(job, {}, { uniqueKey: 'roundsman dev' })
  } finally {
    await client.stop()
  }
  return true
}
