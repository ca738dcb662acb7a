import pg from 'pg'

const VANISHED_AFTER_MS = 30_000

export interface ConnectionSettingsOptions {
  /**
   * Time after which the server ends a connection whose other end has vanished from the network, or is too busy to read.
   * Default 30,000 ms.
   */
  vanishedAfterMs?: number
  /** Maximum wait of a statement for the lock of another session. Default: no limit. */
  lockTimeoutMs?: number | undefined
  /** Settings that only this connection needs, by name. */
  settings?: Readonly<Record<string, string>> | undefined
}

/** These replace the defaults of the server and the role. `options` in the URL override them. */
const PREFERRED_SETTINGS = {
  // For a claim among millions, PostgreSQL would compile the plan, which takes a hundred times longer than the claim.
  jit: 'off',
  // Callers set their own limits.
  statement_timeout: '0',
  lock_timeout: '0',
  // A process that vanishes from the network inside a transaction must not keep its locks for hours.
  idle_in_transaction_session_timeout: '60000',
} as const

/** These override everything else: with other values the engine misreads values, or runs fail. */
const NEEDED_SETTINGS = {
  timezone: 'UTC',
  datestyle: 'ISO,MDY',
  intervalstyle: 'postgres',
  bytea_output: 'hex',
  extra_float_digits: '1',
  standard_conforming_strings: 'on',
  array_nulls: 'on',
  // Claims and fences have to see the latest commits of others. A transaction may set another level for itself.
  default_transaction_isolation: 'read committed',
  // The connection that holds a worker's lock may be idle for long.
  idle_session_timeout: '0',
} as const

/** Servers before PostgreSQL 17 refuse a connection that names this setting at its start, so it is set afterwards. */
export const LIFT_TRANSACTION_TIMEOUT_SQL = `
  select set_config('transaction_timeout', '0', false) where current_setting('transaction_timeout', true) <> '0'`

/**
 * The settings of every connection, so that nothing depends on defaults of the server, the database or the role. Those apply
 * only to `search_path`, `default_transaction_read_only`, and settings in the URL or PGOPTIONS.
 */
export function connectionSettings(
  url: string,
  {
    vanishedAfterMs = VANISHED_AFTER_MS,
    lockTimeoutMs = 0,
    settings,
  }: ConnectionSettingsOptions = {},
) {
  // If a setting is named more than once, the last one counts.
  const parts = [
    toOptions({
      ...PREFERRED_SETTINGS,
      lock_timeout: String(lockTimeoutMs),
      ...vanishingSettings(vanishedAfterMs),
      ...settings,
    }),
    readOptions(url),
    toOptions(NEEDED_SETTINGS),
  ]
  const options = parts.filter((part) => part !== '').join(' ')
  return {
    connectionString: withOptions(url, options),
    // Used for a URL that is a path to a socket, which takes no parameters.
    options,
    // By default the driver waits without a limit, and so would a request.
    connectionTimeoutMillis: 5_000,
    keepAlive: true,
    // Firewalls drop connections that are silent for minutes.
    keepAliveInitialDelayMillis: 10_000,
  }
}

/**
 * The settings to compare with those of an open connection: a pooler may ignore the requested ones. Excluded are time zone and
 * date style, which the caller checks itself, settings that the URL overrides, and those that some sockets lack.
 */
export function readAskedSettings(url: string): Record<string, string> {
  const said = readOptions(url).toLowerCase()
  const { jit, lock_timeout, idle_in_transaction_session_timeout } = PREFERRED_SETTINGS
  const preferred = { jit, lock_timeout, idle_in_transaction_session_timeout }
  const {
    timezone: _zone,
    datestyle: _style,
    intervalstyle: IntervalStyle,
    ...needed
  } = NEEDED_SETTINGS
  const unsaid = Object.entries(preferred).filter(([name]) => !said.includes(name))
  return { ...Object.fromEntries(unsaid), ...needed, IntervalStyle }
}

/** By default a server notices after two hours, or after a quarter of an hour if it has sent something. */
function vanishingSettings(vanishedAfterMs: number): Record<string, string> {
  const thirdS = Math.max(1, Math.floor(vanishedAfterMs / 3_000))
  return {
    tcp_user_timeout: String(vanishedAfterMs),
    tcp_keepalives_idle: String(thirdS),
    tcp_keepalives_interval: String(Math.max(1, Math.floor(thirdS / 2))),
    tcp_keepalives_count: '4',
  }
}

function toOptions(settings: Readonly<Record<string, string>>): string {
  return Object.entries(settings)
    .map(([name, value]) => `-c ${name}=${value.replaceAll(' ', '\\ ')}`)
    .join(' ')
}

/** Reads them as the driver does: from the URL, or from PGOPTIONS. */
function readOptions(url: string): string {
  const client = new pg.Client({ connectionString: url }) as unknown as {
    connectionParameters: { options?: string }
  }
  return client.connectionParameters.options ?? ''
}

/** Adds options to the URL: the driver prefers the URL to its other settings, and the last of two equal parameters. */
function withOptions(url: string, options: string): string {
  if (url.startsWith('/')) return url
  // The driver would encode such a URL, including our options. So encode it before they are added.
  const isUnencoded = / |%[^a-f0-9]|%[a-f0-9][^a-f0-9]/i.test(url)
  const encoded = isUnencoded ? encodeURI(url).replace(/%25(\d\d)/g, '%$1') : url
  const [address = '', ...fragment] = encoded.split('#')
  const query = `${address.includes('?') ? '&' : '?'}options=${encodeURIComponent(options)}`
  return [address + query, ...fragment].join('#')
}
