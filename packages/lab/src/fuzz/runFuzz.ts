import { join } from 'node:path'
import { createRandom, type Random } from '../chaos/createRandom.ts'
import { breakRequest } from './breakRequest.ts'
import { logIn, type CallerKind, type Callers } from './callers.ts'
import { createJudge, judgeBytes, type Judge } from './createJudge.ts'
import { createKnowledge, type Knowledge } from './createKnowledge.ts'
import { createRequest, targetOf, type DraftRequest } from './createRequest.ts'
import { MALFORMED_HTTP } from './malformedHttp.ts'
import { prepareDatabase } from './prepareDatabase.ts'
import {
  findOperation,
  readOperations,
  type OpenApiDocument,
  type Operation,
} from './readOperations.ts'
import {
  createSender,
  type Outcome,
  type Sender,
  type WireRequest,
  toCurl,
} from './createSender.ts'
import { startProcess, type ProcessUnderTest } from './startProcess.ts'

export interface FuzzOptions {
  seed: number
  requests: number
  /** Whether a worker runs beside the API. */
  hasWorker: boolean
}

export interface Finding {
  /** The request's number, from 1; 0 for a finding about the whole run. */
  number: number
  what: string
  request: string
}

export interface FuzzResult {
  options: FuzzOptions
  ranAt: Date
  elapsedMs: number
  /** Answers, by operation (or `elsewhere`) and status. */
  routes: Map<string, Map<string, number>>
  callers: Map<CallerKind, Map<string, number>>
  broken: Map<string, Map<string, number>>
  /** Log lines, by level and message. */
  warnings: Map<string, number>
  latency: { p50Ms: number; p99Ms: number; maxMs: number }
  memory: { warmBytes: number; endBytes: number } | null
  findings: Finding[]
}

export interface FuzzContext {
  /** An empty or a migrated database, which this fills. */
  databaseUrl: string
  dataDir: string
  signal: AbortSignal
  onProgress: (message: string) => void
}

const API = 'apps/api/src/server.ts'
const WORKER = 'apps/worker/src/main.ts'
const JWT_SECRET = 'of the fuzzer, and of nobody else at all'
const WORKSPACE_ROOT = join(import.meta.dirname, '../../../..')

/**
 * Requests that are drawn together. Later rounds use what their answers taught, so that a seed names a run however long
 * each takes.
 */
const ROUND = 48
const CONCURRENCY = 16
/** The first requests are not broken, so that later ones find something. */
const WHOLE = 96
/** Access tokens expire after a quarter of an hour. */
const LOG_IN_EVERY_MS = 8 * 60_000
const SHARE_BROKEN = 0.55
/** The share of requests after which a process has warmed up: its code is compiled, its pools are full. */
const WARM_UP = 0.3
/**
 * The garbage collector takes its time: after 2,000 requests a process has grown by as much as after 10,000. This finds a
 * leak of tens of kilobytes a request.
 */
const MAX_GROWTH_BYTES = 128 * 1024 * 1024
const ERROR_LEVEL = 50

/** Sends an API process of its own whatever may be asked, and what may not, and judges the answers. */
export async function runFuzz(options: FuzzOptions, context: FuzzContext): Promise<FuzzResult> {
  const { databaseUrl, dataDir, signal, onProgress } = context
  const ranAt = new Date()
  await prepareDatabase(databaseUrl)
  const env = { DATABASE_URL: databaseUrl, DATA_DIR: dataDir, JWT_SECRET }
  const start = (entry: string, portVariable: 'PORT' | 'WORKER_PORT') =>
    startProcess({ entry: join(WORKSPACE_ROOT, entry), portVariable, env, signal })
  const processes: ProcessUnderTest[] = []
  try {
    const api = await start(API, 'PORT')
    processes.push(api)
    if (options.hasWorker) processes.push(await start(WORKER, 'WORKER_PORT'))
    onProgress(`${processes.length === 1 ? 'The API' : 'API and worker'} started`)
    const asked = await ask(options, { ...context, api })
    const findings = [...asked.findings]
    for (const [index, one] of processes.entries()) {
      const name = index === 0 ? 'API' : 'worker'
      const about = (what: string) =>
        findings.push({ number: 0, what: `The ${name} ${what}`, request: '' })
      if (one.hasExited()) about('has ended by itself')
      const code = await one.stop()
      if (code !== 0) about(`ended with ${code}`)
      for (const { level, text } of one.lines) {
        if (level >= ERROR_LEVEL) about(`wrote: ${text.slice(0, 1_000)}`)
      }
    }
    return { ...asked, options, ranAt, findings, warnings: countWarnings(processes) }
  } finally {
    await Promise.all(processes.map((one) => one.stop()))
  }
}

async function ask(
  { seed, requests }: FuzzOptions,
  { api, signal, onProgress }: FuzzContext & { api: ProcessUnderTest },
) {
  const { baseUrl } = api
  const document = (await (await fetch(`${baseUrl}/docs/json`)).json()) as OpenApiDocument
  const operations = readOperations(document)
  const judge = createJudge(document)
  const knowledge = createKnowledge(operations)
  const random = createRandom(seed)
  const sender = createSender(baseUrl, { concurrency: CONCURRENCY })
  const tally = createTally()
  const memory: number[] = []
  const startedAt = performance.now()
  let callers: Callers | undefined
  let loggedInAt = 0
  try {
    for (let sent = 0; sent < requests; sent += ROUND) {
      signal.throwIfAborted()
      if (!callers || performance.now() - loggedInAt > LOG_IN_EVERY_MS) {
        callers = await logIn({ baseUrl, jwtSecret: JWT_SECRET })
        loggedInAt = performance.now()
      }
      const context = { operations, callers, knowledge }
      const round = Array.from({ length: Math.min(ROUND, requests - sent) }, (_, index) => ({
        number: sent + index + 1,
        request: makeRequest(context, random.fork(), sent + index),
      }))
      const outcomes = await Promise.all(round.map(({ request }) => sender.send(toWire(request))))
      for (const [index, { number, request }] of round.entries()) {
        const outcome = outcomes[index]
        if (outcome) settle({ number, request, outcome, operations, judge, knowledge, tally })
      }
      await sendMalformed(sender, random.fork(), { number: sent + 1, tally })
      const resident = api.residentBytes()
      if (resident !== undefined) memory.push(resident)
      if (Math.floor(sent / 1_000) < Math.floor((sent + ROUND) / 1_000)) {
        onProgress(
          `${Math.min(sent + ROUND, requests)} requests, ${tally.findings.length} findings`,
        )
      }
      if (api.hasExited()) break
    }
  } finally {
    sender.close()
  }
  const grown = measureGrowth(memory)
  if (grown && grown.endBytes - grown.warmBytes > MAX_GROWTH_BYTES) {
    tally.find(0, `The API has grown from ${grown.warmBytes} to ${grown.endBytes} bytes`, '')
  }
  const { findings, routes, callers: byCaller, broken } = tally
  const elapsedMs = performance.now() - startedAt
  return {
    elapsedMs,
    findings,
    routes,
    callers: byCaller,
    broken,
    latency: tally.latency(),
    memory: grown,
  }
}

function makeRequest(
  context: { operations: readonly Operation[]; callers: Callers; knowledge: Knowledge },
  random: Random,
  index: number,
): DraftRequest {
  const request = createRequest(context, random)
  if (index >= WHOLE && random.chance(SHARE_BROKEN)) breakRequest(request, random)
  return request
}

function toWire(request: DraftRequest): WireRequest {
  const { method, headers } = request
  const body =
    request.bytes ??
    (request.body === undefined ? undefined : Buffer.from(JSON.stringify(request.body)))
  const hasType = headers.some(([name]) => name === 'content-type')
  return {
    method,
    target: targetOf(request),
    headers: body && !hasType ? [...headers, ['content-type', 'application/json']] : headers,
    body,
  }
}

function settle({
  number,
  request,
  outcome,
  operations,
  judge,
  knowledge,
  tally,
}: {
  number: number
  request: DraftRequest
  outcome: Outcome
  operations: readonly Operation[]
  judge: Judge
  knowledge: Knowledge
  tally: Tally
}): void {
  const wire = toWire(request)
  const operation = findOperation(operations, wire)
  const { caller, broken } = request
  const status = 'answer' in outcome ? String(outcome.answer.status) : 'none'
  tally.count({ operation, caller, broken, status, elapsedMs: outcome.elapsedMs })
  const repeat = toCurl(wire)
  if ('failure' in outcome) return tally.find(number, outcome.failure, repeat)
  const { answer } = outcome
  // A broken header may be the one that says who asks.
  const asks = broken.includes('header') || broken.includes('repeatedHeader') ? 'owner' : caller
  const problems = judge({ method: wire.method, operation, caller: asks, answer })
  for (const problem of problems) {
    tally.find(number, `${operation?.id ?? `${wire.method} elsewhere`}: ${problem}`, repeat)
  }
  const isContent = answer.status < 300 && answer.body.length > 0
  if (operation && isContent && answer.headers['content-type']?.startsWith('application/json')) {
    knowledge.learn(operation, JSON.parse(answer.body.toString()))
  }
}

/** Sends one malformed piece of HTTP beside each round. */
async function sendMalformed(
  sender: Sender,
  random: Random,
  { number, tally }: { number: number; tally: Tally },
): Promise<void> {
  const [first = ['', ''], ...rest] = Object.entries(MALFORMED_HTTP)
  const [name, text] = random.pick([first, ...rest])
  const received = await sender.sendBytes(Buffer.from(text, 'latin1'))
  const [status = 'none'] =
    /(?<=^HTTP\/1\.1 )\d{3}/.exec(received.received.toString('latin1')) ?? []
  tally.countMalformed(status)
  for (const problem of judgeBytes(received)) {
    tally.find(number, `malformed HTTP (${name}): ${problem}`, JSON.stringify(text.slice(0, 300)))
  }
}

interface Tally extends Pick<FuzzResult, 'findings' | 'routes' | 'callers' | 'broken'> {
  count(counted: {
    operation: Operation | undefined
    caller: CallerKind
    broken: readonly string[]
    status: string
    elapsedMs: number
  }): void
  countMalformed(status: string): void
  find(number: number, what: string, request: string): void
  latency(): FuzzResult['latency']
}

function createTally(): Tally {
  const findings: Finding[] = []
  const routes: FuzzResult['routes'] = new Map()
  const callers: FuzzResult['callers'] = new Map()
  const broken: FuzzResult['broken'] = new Map()
  const times: number[] = []
  return {
    findings,
    routes,
    callers,
    broken,
    count({ operation, caller, broken: parts, status, elapsedMs }) {
      times.push(elapsedMs)
      increase(routes, operation?.id ?? 'elsewhere', status)
      increase(callers, caller, status)
      for (const part of parts.length === 0 ? ['nothing'] : parts) increase(broken, part, status)
    },
    countMalformed: (status) => increase(broken, 'HTTP itself', status),
    find: (number, what, request) => void findings.push({ number, what, request }),
    latency() {
      const sorted = times.toSorted((one, other) => one - other)
      const at = (share: number) => sorted[Math.floor((sorted.length - 1) * share)] ?? 0
      return { p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) }
    },
  }
}

function increase<Key>(counts: Map<Key, Map<string, number>>, key: Key, status: string): void {
  const inner = counts.get(key) ?? new Map<string, number>()
  inner.set(status, (inner.get(status) ?? 0) + 1)
  counts.set(key, inner)
}

/** Compares the median once it was warm with the median of the last tenth. */
function measureGrowth(samples: readonly number[]): FuzzResult['memory'] {
  const warm = Math.floor(samples.length * WARM_UP)
  const width = Math.max(1, Math.floor(samples.length / 10))
  const middle = (part: readonly number[]) =>
    part.toSorted((one, other) => one - other)[Math.floor(part.length / 2)]
  const warmBytes = middle(samples.slice(warm, warm + width))
  const endBytes = middle(samples.slice(-width))
  return warmBytes === undefined || endBytes === undefined ? null : { warmBytes, endBytes }
}

function countWarnings(processes: readonly ProcessUnderTest[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { level, text } of processes.flatMap(({ lines }) => lines)) {
    if (level >= ERROR_LEVEL) continue
    const { msg = '' } = JSON.parse(text) as { msg?: string }
    counts.set(msg, (counts.get(msg) ?? 0) + 1)
  }
  return counts
}
