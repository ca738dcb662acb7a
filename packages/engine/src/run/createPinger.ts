import { setTimeout as delay } from 'node:timers/promises'
import type { Details } from '../job/handler.ts'
import type { HostLogger } from '../job/logger.ts'
import { MAX_TIMER_MS } from '../values/argument.ts'
import { checkPingerClose, checkPingerOptions } from '../arguments/worker.ts'
import { containedLog } from '../database/containedLog.ts'
import type { RescuedRun, RunEnding, WorkerObserver } from './observer.ts'

export type PingEvent = 'start' | 'success' | 'fail'

/** `dropped`: too many pings waited. `failed`: the monitor took it in none of the attempts. */
export type PingOutcome = 'sent' | 'failed' | 'dropped'

export interface PingerOptions {
  /** The check's URL by job name. Jobs without one send no pings. */
  urls: ReadonlyMap<string, URL>
  /** Default: warnings go to standard error. */
  log?: Pick<HostLogger, 'warn'> | undefined
  onOutcome?: (name: string, event: PingEvent, outcome: PingOutcome) => void
}

export interface Pinger {
  observer: WorkerObserver
  /** Sends what waits, for at most `timeoutMs`, and then nothing more. Default 5,000 ms. */
  close(options?: { timeoutMs?: number }): Promise<void>
}

interface Ping {
  name: string
  /** The check's URL. */
  base: URL
  event: PingEvent
  runId: string
  text: string
}

/** How many of a run's counts a ping carries. */
const MAX_COUNTS = 20

const LIMITS = {
  /** Of one attempt. */
  timeoutMs: 10_000,
  attempts: 3,
  /** The pause before the second attempt; it doubles before each further one. */
  retryDelayMs: 1_000,
  /** How many pings are sent at once. */
  concurrency: 8,
  /** How many may be unsent; further ones are dropped. */
  maxWaiting: 1_000,
}

/**
 * Notifies a monitor such as healthchecks.io when runs start and end: a POST to `<url>/start`, `<url>` or `<url>/fail`, with the
 * run's id as `rid`. No run waits for it, and no answer of the monitor can fail a run.
 */
export function createPinger(options: PingerOptions): Pinger {
  return createPingerWithin({}, options)
}

/** The same with other limits, for tests. */
export function createPingerWithin(limits: Partial<typeof LIMITS>, options: PingerOptions): Pinger {
  const { timeoutMs, attempts, retryDelayMs, concurrency, maxWaiting } = { ...LIMITS, ...limits }
  const { urls, onOutcome, log: hostLog } = checkPingerOptions(options)
  const log = containedLog(hostLog)
  const closing = new AbortController()
  const underWay = new Set<Promise<void>>()
  const queue: (() => void)[] = []
  let active = 0
  let isDropping = false

  /** Resolves when the ping was sent or given up. It waits for `after` first: the monitor must get the start before the end. */
  function ping(message: Ping, after?: Promise<void>): Promise<void> {
    if (closing.signal.aborted || underWay.size >= maxWaiting) {
      onOutcome?.(message.name, message.event, 'dropped')
      if (!isDropping) log.warn({ waiting: underWay.size }, 'pings are dropped: too many wait')
      isDropping = true
      return Promise.resolve()
    }
    isDropping = false
    const sending = send(message, after).finally(() => underWay.delete(sending))
    underWay.add(sending)
    return sending
  }

  async function send(message: Ping, after: Promise<void> | undefined): Promise<void> {
    await after
    if (active < concurrency) active++
    else await new Promise<void>((resolve) => queue.push(resolve))
    try {
      await deliver(message)
    } finally {
      const next = queue.shift()
      // Pass the place on instead of freeing it: another ping could take it in between.
      if (next) next()
      else active--
    }
  }

  async function deliver({ name, base, event, runId, text }: Ping): Promise<void> {
    const url = addressOf(base, event, runId)
    for (let attempt = 1; ; attempt++) {
      const result = await post(url, text)
      if (result.kind === 'sent') return onOutcome?.(name, event, 'sent')
      if (result.isFinal || attempt >= attempts || closing.signal.aborted) {
        // Do not log the address: it lets anybody report that all is well.
        log.warn({ name, runId, event, reason: result.reason }, 'ping failed')
        return onOutcome?.(name, event, 'failed')
      }
      const pauseMs = retryDelayMs * 2 ** (attempt - 1)
      await delay(pauseMs, undefined, { signal: closing.signal }).catch(() => undefined)
    }
  }

  async function post(url: URL, body: string): Promise<PostResult> {
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'text/plain; charset=utf-8', 'user-agent': 'roundsman' },
        body,
        signal: AbortSignal.any([closing.signal, AbortSignal.timeout(timeoutMs)]),
      })
      // Do not read the answer's body, however long it is.
      await response.body?.cancel()
      if (response.ok) return { kind: 'sent' }
      const { status } = response
      return {
        kind: 'failed',
        reason: `status ${status}`,
        isFinal: status < 500 && status !== 429 && status !== 408,
      }
    } catch (error) {
      return { kind: 'failed', reason: reasonOf(error), isFinal: false }
    }
  }

  /** Sends the end of a run of another worker that this one has ended. */
  function describeEnd({ id: runId, name, attempt, dryRun }: RescuedRun, code: string): void {
    const base = urls.get(name)
    if (dryRun || base === undefined) return
    void ping({ name, base, event: 'fail', runId, text: `failed: ${code}, attempt ${attempt}` })
  }

  return {
    observer: {
      runStarted({ id: runId, name, attempt, dryRun }) {
        const base = urls.get(name)
        // A dry run is no sign that real runs succeed.
        if (dryRun || base === undefined) return undefined
        const text = `attempt ${attempt}`
        const started = ping({ name, base, event: 'start', runId, text })
        return {
          ended(end) {
            const event = eventOf(end)
            if (event === null) return
            void ping({ name, base, event, runId, text: `${describe(end)}, ${text}` }, started)
          },
        }
      },
      runRescued: (run) => describeEnd(run, 'worker_lost'),
      runExpired: (run) => describeEnd(run, 'expired'),
    },
    async close(how = {}) {
      const { timeoutMs: patienceMs = 5_000 } = checkPingerClose(how)
      const timer = setTimeout(() => closing.abort(), Math.min(patienceMs, MAX_TIMER_MS))
      while (underWay.size > 0) await Promise.all(underWay)
      clearTimeout(timer)
      closing.abort()
    },
  }
}

type PostResult = { kind: 'sent' } | { kind: 'failed'; reason: string; isFinal: boolean }

function addressOf(base: URL, event: PingEvent, runId: string): URL {
  const url = new URL(base)
  if (event !== 'success') url.pathname = `${url.pathname.replace(/\/$/, '')}/${event}`
  url.searchParams.set('rid', runId)
  return url
}

/** The ping that a run's end sends; null for none. */
function eventOf(end: RunEnding): 'success' | 'fail' | null {
  switch (end.kind) {
    case 'success':
      return 'success'
    case 'failed':
      // Its worker was stopped, and another attempt follows at once: the job did not fail.
      return end.code === 'drained' ? null : 'fail'
    case 'lost':
      // The worker that ended it sends the ping.
      return null
    case 'suspended':
      return null
    default:
      return end satisfies never
  }
}

function describe(end: RunEnding): string {
  const how = end.kind === 'failed' ? `failed: ${end.code}` : end.kind
  const counts = 'details' in end ? countsOf(end.details) : []
  return [`${how} in ${end.durationMs} ms`, ...counts].join(', ')
}

/** Numbers only: a text could hold personal data. */
function countsOf(details: Details | null): string[] {
  return Object.entries(details ?? {})
    .filter(([, value]) => typeof value === 'number')
    .slice(0, MAX_COUNTS)
    .map(([key, value]) => `${key} ${value as number}`)
}

/** The system's code or the error's name: its message may quote the address. */
function reasonOf(error: unknown): string {
  const { name, cause } = error as { name?: string; cause?: { code?: unknown } }
  if (typeof cause?.code === 'string') return cause.code
  return name ?? 'error'
}
