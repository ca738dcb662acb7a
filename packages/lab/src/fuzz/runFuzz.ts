import { startApi, startWorker, type RunningApi } from '../apps.ts'
import { readLogLine } from '../createFleet.ts'
import { createRandom, type Random } from '../createRandom.ts'
import { increase } from '../markdown.ts'
import { readProcess } from '../readProcess.ts'
import type { RunningProcess } from '../startProcess.ts'
import { latencyOf, median, quantile, type Latency } from '../statistics.ts'
import { breakRequest } from './breakRequest.ts'
import { logIn, type Callers } from './callers.ts'
import { createJudge, judgeBytes, type Judge } from './createJudge.ts'
import { createKnowledge, type Knowledge } from './createKnowledge.ts'
import { createRequest, targetOf, type DraftRequest } from './createRequest.ts'
import {
  createSender,
  toCurl,
  type Outcome,
  type Sender,
  type WireRequest,
} from './createSender.ts'
import { MALFORMED_HTTP } from './malformedHttp.ts'
import { prepareDatabase } from './prepareDatabase.ts'
import {
  findOperation,
  readOperations,
  type OpenApiDocument,
  type Operation,
} from './readOperations.ts'

export interface FuzzOptions {
  seed: number
  requests: number
  /** Whether a worker runs beside the API. */
  worker: boolean
}

export interface Finding {
  /** The request's number, from 1; 0 for a finding about the whole run. */
  number: number
  what: string
  request: string
}

/** Answers, by what they are counted by, and by status. */
export type Counts = Map<string, Map<string, number>>

export interface FuzzResult extends Asked {
  options: FuzzOptions
  ranAt: Date
  /** Log lines, by message. */
  warnings: Map<string, number>
}

interface Asked {
  elapsedMs: number
  /** By operation, or `elsewhere`. */
  routes: Counts
  callers: Counts
  broken: Counts
  latency: Latency & { max: number }
  memory: { warmMb: number; endMb: number }
  findings: Finding[]
}

export interface FuzzContext {
  /** An empty or a migrated database, which this fills. */
  databaseUrl: string
  dataDir: string
  signal: AbortSignal
  onProgress: (message: string) => void
}

const JWT_SECRET = 'of the fuzzer, and of nobody else at all'
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
const MAX_GROWTH_MB = 128
const ERROR_LEVEL = 50
const WARN_LEVEL = 40

/** Sends an API process of its own whatever may be asked, and what may not, and judges the answers. */
export async function runFuzz(options: FuzzOptions, context: FuzzContext): Promise<FuzzResult> {
  const { databaseUrl, dataDir, signal, onProgress } = context
  const ranAt = new Date()
  await prepareDatabase(databaseUrl)
  const env = { DATA_DIR: dataDir, JWT_SECRET, NODE_ENV: 'development' }
  const apps: [name: string, app: RunningProcess][] = []
  const warnings = new Map<string, number>()
  const findings: Finding[] = []
  const about = (what: string) => findings.push({ number: 0, what, request: '' })
  /** What it writes. A line that is no log line counts as an error. */
  const listenTo = (name: string) => ({
    env,
    signal,
    isShortLived: true,
    onLine(line: string) {
      const { level, msg } = readLogLine(line) ?? { level: ERROR_LEVEL, msg: '' }
      if (level >= ERROR_LEVEL) about(`The ${name} wrote: ${line.slice(0, 1_000)}`)
      else if (level >= WARN_LEVEL) increase(warnings, msg)
    },
  })
  try {
    const api = await startApi(databaseUrl, listenTo('API'))
    apps.push(['API', api])
    if (options.worker) {
      apps.push(['worker', await startWorker(databaseUrl, listenTo('worker'))])
    }
    onProgress(`${apps.length === 1 ? 'The API' : 'API and worker'} started`)
    const asked = await ask(options, { ...context, api })
    for (const [name, app] of apps) {
      if (app.hasExited()) about(`The ${name} has ended by itself`)
      const { code } = await app.stop()
      if (code !== 0) about(`The ${name} ended with ${code}`)
    }
    return { ...asked, findings: [...asked.findings, ...findings], options, ranAt, warnings }
  } finally {
    await Promise.all(apps.map(([, app]) => app.stop()))
  }
}

/** What the requests are made of, and what becomes of them. */
interface Scene {
  operations: readonly Operation[]
  judge: Judge
  knowledge: Knowledge
  asked: Asked
  timesMs: number[]
}

async function ask(
  { seed, requests }: FuzzOptions,
  { api, signal, onProgress }: FuzzContext & { api: RunningApi },
): Promise<Asked> {
  const { url: baseUrl } = api
  const document = (await (await fetch(`${baseUrl}/docs/json`)).json()) as OpenApiDocument
  const operations = readOperations(document)
  const scene: Scene = {
    operations,
    judge: createJudge(document),
    knowledge: createKnowledge(operations),
    asked: {
      elapsedMs: 0,
      routes: new Map(),
      callers: new Map(),
      broken: new Map(),
      latency: { p50: NaN, p99: NaN, max: NaN },
      memory: { warmMb: NaN, endMb: NaN },
      findings: [],
    },
    timesMs: [],
  }
  const { asked } = scene
  const random = createRandom(seed)
  const sender = createSender(baseUrl, { concurrency: CONCURRENCY })
  const memoryMb: number[] = []
  const startedAt = performance.now()
  let callers: Callers | undefined
  let loggedInAt = 0
  try {
    for (let sent = 0; sent < requests && !api.hasExited(); sent += ROUND) {
      signal.throwIfAborted()
      if (!callers || performance.now() - loggedInAt > LOG_IN_EVERY_MS) {
        callers = await logIn({ baseUrl, jwtSecret: JWT_SECRET })
        loggedInAt = performance.now()
      }
      const context = { ...scene, callers }
      const round = Array.from({ length: Math.min(ROUND, requests - sent) }, (_, index) => {
        const drawing = random.fork()
        const request = createRequest(context, drawing)
        if (sent + index >= WHOLE && drawing.chance(SHARE_BROKEN)) breakRequest(request, drawing)
        return { number: sent + index + 1, request, wire: toWire(request) }
      })
      const outcomes = await Promise.all(round.map(({ wire }) => sender.send(wire)))
      for (const [index, outcome] of outcomes.entries()) {
        const one = round[index]
        if (one) settle(scene, one, outcome)
      }
      await sendMalformed(sender, random.fork(), sent + 1, asked)
      memoryMb.push((await readProcess(api.pid))?.residentMb ?? NaN)
      if (Math.floor(sent / 1_000) < Math.floor((sent + ROUND) / 1_000)) {
        const done = Math.min(sent + ROUND, requests)
        onProgress(`${done} requests, ${asked.findings.length} findings`)
      }
    }
  } finally {
    sender.close()
  }
  // Compares the median once it was warm with the median of the last tenth.
  const warm = Math.floor(memoryMb.length * WARM_UP)
  const width = Math.max(1, Math.floor(memoryMb.length / 10))
  const warmMb = median(memoryMb.slice(warm, warm + width))
  const endMb = median(memoryMb.slice(-width))
  if (endMb - warmMb > MAX_GROWTH_MB) {
    const what = `The API has grown from ${warmMb} to ${endMb} MB`
    asked.findings.push({ number: 0, what, request: '' })
  }
  const elapsedMs = performance.now() - startedAt
  const latency = { ...latencyOf(scene.timesMs), max: quantile(scene.timesMs, 1) }
  return { ...asked, elapsedMs, latency, memory: { warmMb, endMb } }
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

function settle(
  { operations, judge, knowledge, asked, timesMs }: Scene,
  { number, request, wire }: { number: number; request: DraftRequest; wire: WireRequest },
  outcome: Outcome,
): void {
  const operation = findOperation(operations, wire)
  const { caller, broken } = request
  const status = 'answer' in outcome ? String(outcome.answer.status) : 'none'
  timesMs.push(outcome.elapsedMs)
  count(asked.routes, operation?.id ?? 'elsewhere', status)
  count(asked.callers, caller, status)
  for (const part of broken.length === 0 ? ['nothing'] : broken) count(asked.broken, part, status)
  const find = (what: string) => asked.findings.push({ number, what, request: toCurl(wire) })
  if ('failure' in outcome) return void find(outcome.failure)
  const { answer } = outcome
  // A broken header may be the one that says who asks.
  const asks = broken.includes('header') || broken.includes('repeatedHeader') ? 'owner' : caller
  for (const problem of judge({ method: wire.method, operation, caller: asks, answer })) {
    find(`${operation?.id ?? `${wire.method} elsewhere`}: ${problem}`)
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
  number: number,
  asked: Asked,
): Promise<void> {
  const [name, text] = random.pick(Object.entries(MALFORMED_HTTP))
  const answer = await sender.sendBytes(Buffer.from(text, 'latin1'))
  const [status = 'none'] = /(?<=^HTTP\/1\.1 )\d{3}/.exec(answer.received.toString('latin1')) ?? []
  count(asked.broken, 'HTTP itself', status)
  for (const problem of judgeBytes(answer)) {
    const request = JSON.stringify(text.slice(0, 300))
    asked.findings.push({ number, what: `malformed HTTP (${name}): ${problem}`, request })
  }
}

function count(counts: Counts, key: string, status: string): void {
  const inner = counts.get(key) ?? new Map<string, number>()
  increase(inner, status)
  counts.set(key, inner)
}
