import type { AlertChannel } from '../alerts/alert.ts'
import type { AlertOptions, AlertWatcherOptions } from '../alerts/createAlertWatcher.ts'
import type { AlertWebhookOptions } from '../alerts/createAlertWebhook.ts'
import type { AlertLimits } from '../alerts/findCauses.ts'
import type { HostLogger } from '../job/logger.ts'
import {
  ArgumentError,
  checkDurationMs,
  checkFunction,
  checkOptions,
  checkParts,
  checkText,
  checkTimerMs,
  checkWaitMs,
  listOf,
  loggerOf,
  numberWithin,
  objectOf,
  oneOf,
  optional,
  tell,
  type Check,
} from '../values/argument.ts'
import { checkDatabaseUrl, checkSchema } from './connection.ts'
import { checkJobs } from './jobs.ts'

/*
 * Options of alerts.
 */

const checkCount = optional(numberWithin(0, Infinity))
/** A century is practically never, and still a valid instant of PostgreSQL. */
const LONGEST_MS = 100 * 365 * 86_400_000
const checkSpanMs = optional((argument, value) =>
  Math.min(checkWaitMs(argument, value), LONGEST_MS),
)
const MAX_CHANNELS = 100

const LIMITS = {
  failureRate: optional(numberWithin(0, 1)),
  failureOfOneMs: checkSpanMs,
  queueMinWaiting: checkCount,
  queueGrowthMs: checkSpanMs,
  noWorkerMs: checkSpanMs,
} satisfies Record<keyof AlertLimits, unknown>

const CHANNEL = { name: checkText, send: checkFunction<AlertChannel['send']> }

/** Returns the channel unchanged, since its function may need it. */
const checkChannel: Check<AlertChannel> = (argument, value) => {
  const { name } = checkParts(argument, value, CHANNEL, `${argument}.`)
  if (/^[\w-]{1,100}$/.test(name)) return value as AlertChannel
  throw new ArgumentError(
    `${argument}.name`,
    `is not a channel name: use 1 to 100 letters, digits, _ and -, not ${tell(name)}`,
  )
}

const checkChannels: Check<AlertChannel[]> = (argument, value) => {
  const channels = listOf(checkChannel, MAX_CHANNELS)(argument, value)
  if (new Set(channels.map(({ name }) => name)).size === channels.length) return channels
  throw new ArgumentError(argument, 'must differ: two have the same name; rename one')
}

const ALERTS = {
  channels: checkChannels,
  limits: optional(objectOf(LIMITS)),
  consoleUrl: optional(checkText),
  intervalMs: optional(checkTimerMs),
  sendTimeoutMs: optional(checkTimerMs),
  retryDelayMs: optional(checkDurationMs),
  giveUpAfterMs: optional(checkDurationMs),
} satisfies Record<keyof AlertOptions, unknown>

/** Checks the alerts of a worker. */
export const checkAlerts = objectOf(ALERTS)

const WATCHER = {
  ...ALERTS,
  databaseUrl: checkDatabaseUrl,
  schema: checkSchema,
  jobs: checkJobs,
  log: loggerOf<HostLogger>(),
} satisfies Record<keyof AlertWatcherOptions, unknown>

export function checkWatcherOptions(options: unknown) {
  return checkOptions('options', options, WATCHER)
}

const STOP = { timeoutMs: optional(checkWaitMs) }

export function checkWatcherStop(options: unknown) {
  return checkOptions('options', options, STOP)
}

/** Refuses an empty key, which an unset variable produces: anyone could sign with it. */
const checkSecret: Check<string> = (argument, value) => {
  if (value !== '') return checkText(argument, value)
  throw new ArgumentError(argument, 'is empty; leave it out for requests that are not signed')
}

/** The error does not show the address, which may contain a secret. */
const checkUrl: Check<URL> = (argument, value) => {
  try {
    const url = new URL(value instanceof URL ? value : checkText(argument, value))
    // fetch refuses credentials in an address.
    if (/^https?:$/.test(url.protocol) && url.username + url.password === '') return url
  } catch {
    // The address is invalid.
  }
  throw new ArgumentError(argument, 'must be an http or https address without user and password')
}

export const ALERT_FORMATS = ['json', 'slack'] as const

const WEBHOOK = {
  url: checkUrl,
  secret: optional(checkSecret),
  format: optional(oneOf(ALERT_FORMATS)),
  name: optional(checkText),
  timeoutMs: optional(checkTimerMs),
} satisfies Record<keyof AlertWebhookOptions, unknown>

export function checkWebhookOptions(options: unknown) {
  return checkOptions('options', options, WEBHOOK)
}
