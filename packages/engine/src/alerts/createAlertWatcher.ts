import { createHash } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { HostLogger } from '../job/logger.ts'
import type { Job } from '../job/defineJob.ts'
import { checkWatcherOptions, checkWatcherStop } from '../arguments/alerts.ts'
import { maskText } from '../values/maskText.ts'
import { readableLine, storableText } from '../values/storableText.ts'
import { type JobsReader, readerOf } from '../read/reader.ts'
import { containedLog } from '../database/containedLog.ts'
import { openDatabase, type Connection } from '../database/database.ts'
import { GIVE_WAY_AFTER_MS } from '../database/giveWay.ts'
import { createSchema } from '../database/schema.ts'
import { settlesWithin } from '../database/settlesWithin.ts'
import { toNotice, type AlertChannel, type AlertNotice, type AlertRow } from './alert.ts'
import {
  lookOnce,
  settleDelivery,
  takeDeliveries,
  type DeliveryOutcome,
  type TakenDelivery,
} from './alertLedger.ts'
import { createOutage } from './createOutage.ts'
import { DEFAULT_LIMITS, findCauses, type AlertLimits } from './findCauses.ts'

export interface AlertOptions {
  /** Where notices go: each channel gets every notice. */
  channels: readonly AlertChannel[]
  /** When something counts as wrong. Defaults: see AlertLimits. */
  limits?: Partial<AlertLimits>
  /** The console's address, such as `https://shop.example.com/console`, to which notices link. Default: no links. */
  consoleUrl?: string | undefined
  /** How often one of the watchers looks, however many there are. Default 15,000 ms. */
  intervalMs?: number
  /** How long a channel may take for a notice. Default 15,000 ms. */
  sendTimeoutMs?: number
  /** The pause before the second attempt; it doubles before each further one, up to 15 minutes. Default 5,000 ms. */
  retryDelayMs?: number
  /** How long watchers go on trying to send a notice. Default one day. */
  giveUpAfterMs?: number
}

export interface AlertWatcherOptions extends AlertOptions {
  databaseUrl: string
  /** The schema in which `migrate` made the tables. Default `roundsman`. */
  schema?: string | undefined
  /** The jobs to watch: the catalogue, with the engine's own jobs. */
  jobs: readonly Job[]
  /** Default: warnings and errors go to standard error. */
  log?: HostLogger | undefined
}

export interface AlertWatcher {
  start(): void
  /** Waits up to `timeoutMs` for notices being sent; another watcher, or the next one, sends the rest. Default 2,000 ms. */
  stop(options?: { timeoutMs?: number }): Promise<void>
}

const MAX_RETRY_DELAY_MS = 15 * 60_000
const MAX_ERROR_LENGTH = 200

/**
 * Tells people, through channels, when something is wrong with the jobs and when it is over. It neither schedules nor
 * executes, so it can run beside an API as well as beside workers. Run it in both: a process cannot report that it is gone
 * itself. Of the watchers with the same jobs and limits one looks. Of all watchers on one database one sends to each channel
 * name, so give the channels of two programs different names. Nothing that a channel does disturbs anything else.
 * @throws ArgumentError when an option is invalid: when two channels have the same name, for instance
 */
export function createAlertWatcher(options: AlertWatcherOptions): AlertWatcher {
  const given = checkWatcherOptions(options)
  const { databaseUrl, consoleUrl, intervalMs = 15_000 } = given
  const { sendTimeoutMs = 15_000, retryDelayMs = 5_000, giveUpAfterMs = 86_400_000 } = given
  const { jobs } = given
  const names = jobs.map(({ name }) => name)
  const channels = new Map(given.channels.map((channel) => [channel.name, channel]))
  const limits = readLimits(given.limits)
  const log = containedLog(given.log)
  const database = openDatabase({
    url: databaseUrl,
    applicationName: 'roundsman alerts',
    schema: createSchema(given.schema),
    poolSize: 1,
    keepsProcess: false,
    lockTimeoutMs: GIVE_WAY_AFTER_MS,
    log,
  })
  const outage = createOutage([...channels.keys()], limits.noWorkerMs, async (name, row, event) => {
    const reason = await trySend(name, row, event)
    if (reason !== null)
      log.warn({ channel: name, event, reason }, 'alert could not be delivered, trying again')
    return reason === null
  })
  const stopping = new AbortController()
  let watching: Promise<void> | undefined

  async function watch(): Promise<void> {
    let isUnreachable = false
    while (!stopping.signal.aborted) {
      try {
        await look()
        await outage.over()
        await deliver()
        isUnreachable = false
      } catch (error) {
        if (!isUnreachable)
          log.warn({ err: error }, 'alerts cannot be checked or sent right now, trying again')
        isUnreachable = true
        await outage.failed(error)
      }
      await delay(intervalMs, undefined, { signal: stopping.signal }).catch(() => undefined)
    }
  }

  async function look(): Promise<void> {
    const changes = await lookOnce(database, {
      round: roundOf(jobs, limits),
      // A little less than the interval: timers of watchers fire a little early or late.
      everyMs: intervalMs * 0.8,
      names,
      find: (tx, open, now) => findCauses(oneAtATime(tx), jobs, limits, open, now),
    })
    for (const { id: alertId, kind, name, code } of changes?.raised ?? [])
      log.warn({ alertId, kind, name, code }, 'alert began')
    for (const { id: alertId, kind, name, code } of changes?.ended ?? [])
      log.info({ alertId, kind, name, code }, 'alert ended')
  }

  /** Sends all due notices side by side, so that a channel that does not answer holds no other up. */
  async function deliver(): Promise<void> {
    for (;;) {
      const taken = await takeDeliveries(
        database,
        [...channels.keys()],
        sendTimeoutMs + LEASE_MARGIN_MS,
      )
      if (taken.length === 0 || stopping.signal.aborted) return
      await Promise.all(taken.map(send))
    }
  }

  async function send(delivery: TakenDelivery): Promise<void> {
    const { alert, event, channel, attempt, sinceMs } = delivery
    const outcome = await attemptDelivery(delivery)
    await settleDelivery(database, delivery, outcome)
    const line = { alertId: alert.id, kind: alert.kind, event, channel, attempt, sinceMs }
    if (outcome.kind === 'failed')
      log.warn({ ...line, reason: outcome.error }, 'alert could not be delivered, trying again')
    if (outcome.kind === 'givenUp') log.error({ ...line, reason: outcome.error }, 'alert given up')
  }

  async function attemptDelivery({
    alert,
    event,
    channel,
    attempt,
    sinceMs,
  }: TakenDelivery): Promise<DeliveryOutcome> {
    const reason = await trySend(channel, alert, event)
    if (reason === null) return { kind: 'taken' }
    if (sinceMs >= giveUpAfterMs) return { kind: 'givenUp', error: reason }
    const retryMs = Math.min(retryDelayMs * 2 ** Math.min(attempt - 1, 20), MAX_RETRY_DELAY_MS)
    return { kind: 'failed', error: reason, retryMs }
  }

  /** Sends a notice, and returns why the channel has not taken it; null: it has. */
  async function trySend(
    channel: string,
    alert: AlertRow,
    event: AlertNotice['event'],
  ): Promise<string | null> {
    const timeout = AbortSignal.timeout(sendTimeoutMs)
    try {
      const sent = channels.get(channel)?.send(toNotice(alert, event, consoleUrl), timeout)
      const sending = Promise.resolve(sent)
      // A channel may ignore the signal.
      if (!(await settlesWithin(sending, Infinity, timeout))) throw new Error('no answer in time')
      await sending
      return null
    } catch (error) {
      return describeFailure(error)
    }
  }

  return {
    start() {
      watching ??= watch()
    },
    async stop(how = {}) {
      const { timeoutMs = 2_000 } = checkWatcherStop(how)
      stopping.abort()
      if (watching) await settlesWithin(watching, timeoutMs)
      await database.close({ timeoutMs: 1_000 })
    },
  }
}

/** Names the round of the watchers that would judge as this one does. */
function roundOf(jobs: readonly Job[], limits: AlertLimits): string {
  const judged = jobs
    .map(({ name, schedule, timeoutMs, rateLimit }) =>
      JSON.stringify([name, schedule, timeoutMs, rateLimit]),
    )
    .toSorted()
  return createHash('sha256')
    .update(JSON.stringify([judged, limits]))
    .digest('hex')
}

/** A watcher may keep a notice for so long beyond `sendTimeoutMs`; if it died meanwhile, another one sends it then. */
const LEASE_MARGIN_MS = 5_000

function readLimits(
  given: Partial<Record<keyof AlertLimits, number | undefined>> = {},
): AlertLimits {
  const named = Object.entries(given).filter(([, value]) => value !== undefined)
  return { ...DEFAULT_LIMITS, ...Object.fromEntries(named) }
}

/** Sends one statement after another: the driver warns about a statement sent before the last one is answered. */
function oneAtATime(tx: Connection): JobsReader {
  const reader = readerOf(tx)
  let last: Promise<unknown> = Promise.resolve()
  return {
    async rows<Row extends object>(...statement: Parameters<JobsReader['rows']>) {
      const asked = last.then(() => reader.rows<Row>(...statement))
      last = asked.catch(() => undefined)
      return await asked
    },
  }
}

/** Describes what a channel threw, which may be anything. */
function describeFailure(error: unknown): string {
  try {
    const text = error instanceof Error ? error.message || error.name : String(error)
    // A receiver's address may hold its credentials.
    return readableLine(maskText(storableText(text)), MAX_ERROR_LENGTH)
  } catch {
    return 'the channel threw something that cannot be described'
  }
}
