import pg from 'pg'

export interface ConnectionSettings {
  connectionString: string
  /** For a path to a socket, which takes no parameters. */
  options: string
  connectionTimeoutMillis: number
  keepAlive: true
  keepAliveInitialDelayMillis: number
}

const VANISHED_AFTER_MS = 30_000

export interface ConnectionSettingsOptions {
  /**
   * After how long the server ends a connection whose other end has vanished from the network. It also ends that of
   * a process too busy to read what it was sent. Default 30,000 ms.
   */
  vanishedAfterMs?: number
}

/** Instead of what a server or a role says. Where the URL has `options` with one of these, the URL's counts. */
const PREFERRED_SETTINGS = {
  // A claim among millions costs enough for its plan to be compiled, which takes a hundred times longer than it.
  jit: 'off',
  // Whoever wants a limit gives one of their own, for what they do.
  statement_timeout: '0',
  lock_timeout: '0',
  // A process that vanishes from the network inside a transaction must not keep its locks for hours.
  idle_in_transaction_session_timeout: '60000',
} as const

/** Whatever anybody says: with others, values are misread, or runs fail. */
const NEEDED_SETTINGS = {
  timezone: 'UTC',
  datestyle: 'ISO,MDY',
  intervalstyle: 'postgres',
  bytea_output: 'hex',
  extra_float_digits: '1',
  standard_conforming_strings: 'on',
  array_nulls: 'on',
  // Claims and fences expect to see what others have just committed. A transaction may choose another for itself.
  default_transaction_isolation: 'read committed',
  // The connection whose lock says that a worker lives may have nothing to say.
  idle_session_timeout: '0',
} as const

/** A start that names it would be refused by servers before PostgreSQL 17, so a connection that needs it asks. */
export const LIFT_TRANSACTION_TIMEOUT_SQL = `
  select set_config('transaction_timeout', '0', false) where current_setting('transaction_timeout', true) <> '0'`

/**
 * How every connection is opened, so that nothing depends on what the server, the database or the role has as its
 * defaults. `search_path` and `default_transaction_read_only` are theirs to say, and so is what the URL or PGOPTIONS adds.
 */
export function connectionSettings(
  url: string,
  { vanishedAfterMs = VANISHED_AFTER_MS }: ConnectionSettingsOptions = {},
): ConnectionSettings {
  // Of a setting that is named more than once, the last counts.
  const parts = [
    toOptions({ ...PREFERRED_SETTINGS, ...vanishingSettings(vanishedAfterMs) }),
    readOptions(url),
    toOptions(NEEDED_SETTINGS),
  ]
  const options = parts.filter((part) => part !== '').join(' ')
  return {
    connectionString: withOptions(url, options),
    options,
    // The driver waits for ever by default, and a request with it.
    connectionTimeoutMillis: 5_000,
    keepAlive: true,
    // Firewalls forget connections that say nothing for minutes.
    keepAliveInitialDelayMillis: 10_000,
  }
}

/**
 * What such a connection has, unless somebody between it and PostgreSQL ignores how it starts. Without what is
 * examined in other ways, is another one's to say, or has a meaning on some kinds of sockets only.
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

/** Where a database lies, without who logs in to it. */
export interface DatabasePlace {
  /** With its port, if that is not PostgreSQL's own; empty for a socket of this machine. */
  host: string
  name: string
}

/** As the driver reads it: from the URL, or else from PGHOST, PGPORT and PGDATABASE. */
export function readPlace(url: string): DatabasePlace {
  const { host, port, database } = new pg.Client({ connectionString: url })
  return {
    host: host.startsWith('/') ? '' : port === 5_432 ? host : `${host}:${port}`,
    name: database ?? '',
  }
}

/** A server notices by itself after two hours, or a quarter of one where something is on its way. */
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

/** As the driver reads them: from the URL, or else from PGOPTIONS. */
function readOptions(url: string): string {
  const client = new pg.Client({ connectionString: url }) as unknown as {
    connectionParameters: { options?: string }
  }
  return client.connectionParameters.options ?? ''
}

/** To the driver, what a URL says goes before what it is given beside it, and of two the latter. */
function withOptions(url: string, options: string): string {
  if (url.startsWith('/')) return url
  // The driver encodes such a URL once more. Done here, it leaves what is added as it is.
  const isUnencoded = / |%[^a-f0-9]|%[a-f0-9][^a-f0-9]/i.test(url)
  const encoded = isUnencoded ? encodeURI(url).replace(/%25(\d\d)/g, '%$1') : url
  const [address = '', ...fragment] = encoded.split('#')
  const query = `${address.includes('?') ? '&' : '?'}options=${encodeURIComponent(options)}`
  return [address + query, ...fragment].join('#')
}
