import { setTimeout as delay } from 'node:timers/promises'
import type { Details, HostLogger } from '../index.ts'
import { containedLog } from '../store/containedLog.ts'
import type { RescuedRun, RunEnding, WorkerObserver } from './observer.ts'

export const PING_EVENTS = ['start', 'success', 'fail'] as const
export type PingEvent = (typeof PING_EVENTS)[number]

/** `dropped`: more wait than are kept. `failed`: nobody took it. */
export const PING_OUTCOMES = ['sent', 'failed', 'dropped'] as const
export type PingOutcome = (typeof PING_OUTCOMES)[number]

export interface PingerOptions {
  /** By name of job. A job that is not in it is not told of. */
  urls: ReadonlyMap<string, URL>
  /** Default: warnings go to standard error. */
  log?: Pick<HostLogger, 'warn'> | undefined
  /** For one attempt. Default 10,000 ms. */
  timeoutMs?: number
  /** How often one is sent at most. Default 3. */
  attempts?: number
  /** Before the second attempt; doubled before each further one. Default 1,000 ms. */
  retryDelayMs?: number
  /** How many are under way at most. Default 8. */
  concurrency?: number
  /** How many wait at most; more are dropped. Default 1,000. */
  maxWaiting?: number
  onOutcome?: (name: string, event: PingEvent, outcome: PingOutcome) => void
}

export interface Pinger {
  observer: WorkerObserver
  /** Waits for what is not sent yet, for so long at most, and sends nothing more. Default 5,000 ms. */
  close(options?: { timeoutMs?: number }): Promise<void>
}

interface Ping {
  name: string
  /** Of the check. */
  base: URL
  event: PingEvent
  runId: string
  text: string
}

/** Enough for the counts of any clean-up, and too few to be of use for anything else. */
const MAX_COUNTS = 20

/**
 * Tells a monitor when runs start and end, in the way of healthchecks.io and those like it: a POST to
 * `<url>/start`, `<url>` or `<url>/fail`, with the run's id as `rid`. Beside the run: it is never waited for, and
 * nothing that the monitor does can fail it.
 */
export function createPinger(options: PingerOptions): Pinger {
  const { urls, timeoutMs = 10_000, attempts = 3, retryDelayMs = 1_000 } = options
  const { concurrency = 8, maxWaiting = 1_000, onOutcome } = options
  const log = containedLog(options.log)
  const closing = new AbortController()
  const underWay = new Set<Promise<void>>()
  const queue: (() => void)[] = []
  let active = 0
  let isDropping = false

  /** Resolves when it was sent or given up. `after`: what the monitor has to have heard before. */
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
      // Handed on rather than given back: somebody else could take it in between.
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
        // Without the address: whoever knows it can say that all is well.
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
      // However long it is, it says nothing to us.
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

  /** Of a run that was executed elsewhere, and ended here. */
  function tellOfEnd({ id: runId, name, attempt, dryRun }: RescuedRun, code: string): void {
    const base = urls.get(name)
    if (dryRun || base === undefined) return
    void ping({ name, base, event: 'fail', runId, text: `failed: ${code}, attempt ${attempt}` })
  }

  return {
    observer: {
      runStarted({ id: runId, name, attempt, dryRun }) {
        const base = urls.get(name)
        // A rehearsal says nothing about the real thing.
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
      runRescued: (run) => tellOfEnd(run, 'worker_lost'),
      runExpired: (run) => tellOfEnd(run, 'expired'),
    },
    async close({ timeoutMs: patienceMs = 5_000 } = {}) {
      const timer = setTimeout(() => closing.abort(), patienceMs)
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

function eventOf(end: RunEnding): 'success' | 'fail' | null {
  switch (end.kind) {
    case 'success':
      return 'success'
    case 'failed':
      // Its worker was stopped, and the work is done anew at once: no failure of the job's.
      return end.code === 'drained' ? null : 'fail'
    case 'lost':
      // Whoever has ended it tells.
      return null
    default:
      return end satisfies never
  }
}

function describe(end: RunEnding): string {
  const how = end.kind === 'failed' ? `failed: ${end.code}` : end.kind
  const counts = end.kind === 'lost' ? [] : countsOf(end.details)
  return [`${how} in ${end.durationMs} ms`, ...counts].join(', ')
}

/** Numbers only: a text could be somebody's. */
function countsOf(details: Details | null): string[] {
  return Object.entries(details ?? {})
    .filter(([, value]) => typeof value === 'number')
    .slice(0, MAX_COUNTS)
    .map(([key, value]) => `${key} ${value as number}`)
}

/** The system's code where there is one; the message of an error may quote the address. */
function reasonOf(error: unknown): string {
  const { name, cause } = error as { name?: string; cause?: { code?: unknown } }
  if (typeof cause?.code === 'string') return cause.code
  return name ?? 'error'
}
