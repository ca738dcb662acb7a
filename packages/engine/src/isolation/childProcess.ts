// The program of the process of isolated runs. Only startChild starts it, and only the worker sends it messages.
import { writeFileSync } from 'node:fs'
import { Socket } from 'node:net'
import { Worker } from 'node:worker_threads'
import type { Producer } from '../client/createJobsClient.ts'
import { findHandler, type HandlersModule, type HandlersSetting } from '../job/handler.ts'
import type { Logger } from '../job/logger.ts'
import { JobError } from '../job/jobError.ts'
import type { Enqueue } from '../job/enqueue.ts'
import type { Job } from '../job/defineJob.ts'
import type { HostClient, HostTransaction } from '../job/hostTypes.ts'
import { recogniseHost } from '../database/callersTransaction.ts'
import { createSchema, type Schema } from '../database/schema.ts'
import { Abort } from '../run/abort.ts'
import { describeError } from '../run/describeError.ts'
import { executeRun, type EndResult } from '../run/executeRun.ts'
import { createChildLog } from './childLog.ts'
import { readLines, sendLine } from './jsonLines.ts'
import type { FromChild, RunRequest, ToChild } from './messages.ts'

type Opened = HandlersModule<readonly Job[], HostClient>

interface Exported {
  openHandlers?: (setting: HandlersSetting) => Promise<Opened>
}

const CHANNEL_FD = 3

const [, , maxBytes] = process.argv
// Started before any code of the handlers, so that it guards all that they do.
const lifeline = new Worker(
  new URL(
    import.meta.url.endsWith('.ts') ? './lifelineThread.ts' : './lifelineThread.js',
    import.meta.url,
  ),
  { execArgv: [], env: {}, workerData: { maxBytes: Number(maxBytes) } },
)
lifeline.unref()
// Listen at once: the thread may be online before the worker's first message comes.
const watched = new Promise<void>((resolve, reject) => {
  lifeline.once('online', resolve)
  lifeline.once('error', reject)
})
// The first run awaits it and reports the failure.
watched.catch(() => undefined)
letKernelChooseUs()
// A service manager signals all processes of a service, while the worker lets this one finish its run.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined)

const channel = new Socket({ fd: CHANNEL_FD })
// The worker is gone, or a handler has closed a descriptor of the engine. Processes that the handlers have started end with this one.
channel
  .on('error', () => undefined)
  .on('close', () => {
    if (process.platform === 'win32') process.exit(1)
    process.kill(-process.pid, 'SIGKILL')
  })

let current: { token: string; abort: Abort } | null = null
let openLog: (token: string | null) => Logger = createChildLog('silent', () => undefined)
let opened: Promise<Opened> | null = null
let producer: Promise<Producer> | null = null
let closing: Promise<void> | null = null
let databaseUrl = ''
let schema: Schema

readLines(channel, {
  maxBytes: Number.MAX_SAFE_INTEGER,
  onMessage: (message) => void receive(message as ToChild),
  onGarbage: () => process.exit(1),
})

/** Does what the worker asks for: open the handlers' module, carry out a run, abort it, or close. */
async function receive(message: ToChild): Promise<void> {
  switch (message.kind) {
    case 'open':
      databaseUrl = message.databaseUrl
      schema = createSchema(message.schema)
      openLog = createChildLog(message.level, (token, line) => send({ kind: 'log', token, line }))
      opened = openModule(message.module, { databaseUrl, schema: schema.name, log: openLog(null) })
      // The first run awaits it and reports the failure.
      opened.catch(() => undefined)
      return
    case 'run': {
      const { token, taken, timeoutMs } = message
      current = { token, abort: new Abort(taken.name, taken.id, timeoutMs) }
      const result = await perform(message, current.abort)
      current = null
      send({ kind: 'ended', token, result })
      setImmediate(() => setImmediate(rest, token))
      return
    }
    case 'abort':
      if (current?.token !== message.token) return
      return current.abort.abort(
        new JobError(message.code, message.message, { retryable: message.retryable }),
      )
    case 'close':
      return await (closing ??= close())
    default:
      return message satisfies never
  }
}

function rest(token: string): void {
  send({ kind: 'rested', token, usedBytes: process.memoryUsage.rss() })
}

function send(message: FromChild): void {
  sendLine(channel, message)
}

/** Imports the handlers' module and has it open what its handlers need. */
async function openModule(module: string, setting: HandlersSetting): Promise<Opened> {
  await watched
  const exported = (await import(module)) as Exported & { default?: Exported }
  // Node does not find every named export of a CommonJS module.
  const open = exported.openHandlers ?? exported.default?.openHandlers
  if (typeof open !== 'function') {
    throw new TypeError(
      'it exports no function openHandlers; export what defineHandlersModule returns',
    )
  }
  const found = await open(setting)
  if (!Array.isArray(found?.jobs) || typeof found.handlers !== 'object' || !found.client) {
    throw new TypeError('its function must return { jobs, handlers, client }')
  }
  recogniseHost(found.client, schema, 'client')
  return found
}

/** Carries out a run as a worker would. It fails when the module could not be opened, or has no such job or handler. */
async function perform(request: RunRequest, abort: Abort): Promise<EndResult> {
  const { token, taken, retriesLeft, approvedRows, workerId, timeoutMs, guard } = request
  let found: Opened
  try {
    found = await (opened as Promise<Opened>)
  } catch (error) {
    const { message, ...more } = describeError(error)
    return failed({
      ...more,
      code: 'handlers_module_failed',
      message: `The handlers' module could not be opened: ${message}`,
    })
  }
  const job = found.jobs.find(({ name }) => name === taken.name)
  const handler = findHandler(found.handlers, taken.name)
  if (job === undefined || typeof handler !== 'function') {
    const what = job === undefined ? 'job' : 'handler'
    return failed({
      code: 'handler_missing',
      message: `The handlers' module has no ${what} ${taken.name}`,
    })
  }
  return await executeRun({
    ...{ taken, retriesLeft, approvedRows, workerId },
    job: { ...job, timeoutMs, guard },
    handler,
    client: found.client,
    schema,
    openLog: () => openLog(token),
    now: () => new Date(),
    abort,
    // The worker has written the run before.
    write: async () => undefined,
    async keepProgress({ done, total }) {
      send({ kind: 'progress', token, done, total })
    },
    enqueue: enqueueFrom(taken.id),
  })
}

function failed(error: { code: string; message: string }): EndResult {
  return { status: 'failed', error, retryable: true, details: {} }
}

/** Opens what it needs at its first call: few handlers enqueue, and loading it takes a while. */
function enqueueFrom(runId: string): Enqueue<HostTransaction> {
  return async (...work) => {
    producer ??= openProducer()
    return await (await producer).enqueueFrom(runId)(...work)
  }
}

async function openProducer(): Promise<Producer> {
  try {
    const { jobsClientIn } = await import('../client/createJobsClient.ts')
    const jobs = jobsClientIn(schema, { databaseUrl, log: openLog(null) })
    await jobs.start()
    return jobs
  } catch (error) {
    producer = null
    throw error
  }
}

async function close(): Promise<void> {
  try {
    await (await opened)?.close?.()
    await (await producer)?.stop()
  } finally {
    process.exit(0)
  }
}

/** Makes Linux kill this process before the worker when the machine's memory is full. */
function letKernelChooseUs(): void {
  if (process.platform !== 'linux') return
  try {
    writeFileSync('/proc/self/oom_score_adj', '500')
  } catch {
    // Not Linux, or not allowed.
  }
}
