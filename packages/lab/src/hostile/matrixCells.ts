/** A host or a role that somebody may have. */
export interface Cell {
  name: string
  /** The time zone of the worker's and the producer's process. */
  timeZone?: string
  /** Options of `create database`. Without them the server's defaults apply. */
  create?: string
  /** Settings of the role in this database, from the first migration on. */
  settings?: Readonly<Record<string, string>>
  /** How many connections the role may have at once. */
  connections?: number
  /** What is done to the database meanwhile. */
  meanwhile?: Disturbance
  /** The cell is left out on an older server. */
  minVersion?: number
}

/** Something that is done to the database again and again, every `everyMs`. */
export interface Disturbance {
  /** The statements of each round, on a connection to the cell's database. `tables` are its tables. */
  statements: (round: number, tables: readonly string[], database: string) => readonly string[]
  everyMs: number
  /** Whether a superuser sends them from the maintenance database. */
  isFromOutside?: boolean
}

const inZone = (timeZone: string): Cell => ({ name: `TZ=${timeZone}`, timeZone })

const withSetting = (name: string, value: string, minVersion = 0): Cell => ({
  name: `${name} = ${value}`,
  settings: { [name]: value },
  minVersion,
})

/** Every cell carries out the same short piece of everything. */
export const CELLS: readonly Cell[] = [
  { name: 'as it comes' },
  ...['Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Pacific/Apia'].map(inZone),
  ...['Asia/Kathmandu', 'Antarctica/Troll', 'Etc/GMT+12', 'Nowhere/At_All'].map(inZone),
  withSetting('timezone', 'Pacific/Apia'),
  withSetting('timezone', 'America/St_Johns'),
  ...['SQL, DMY', 'German', 'Postgres, MDY', 'ISO, YMD'].map((style) =>
    withSetting('datestyle', style),
  ),
  ...['sql_standard', 'iso_8601', 'postgres_verbose'].map((style) =>
    withSetting('intervalstyle', style),
  ),
  ...['serializable', 'repeatable read', 'read uncommitted'].map((level) =>
    withSetting('default_transaction_isolation', level),
  ),
  withSetting('default_transaction_deferrable', 'on'),
  withSetting('statement_timeout', '2s'),
  withSetting('lock_timeout', '200ms'),
  withSetting('idle_in_transaction_session_timeout', '2s'),
  withSetting('transaction_timeout', '3s', 17),
  withSetting('idle_session_timeout', '2s'),
  ...['"$user", other, public', 'other, public'].map((path) => withSetting('search_path', path)),
  withSetting('extra_float_digits', '-15'),
  withSetting('bytea_output', 'escape'),
  withSetting('standard_conforming_strings', 'off'),
  withSetting('backslash_quote', 'off'),
  withSetting('quote_all_identifiers', 'on'),
  withSetting('array_nulls', 'off'),
  withSetting('row_security', 'off'),
  withSetting('client_encoding', 'LATIN1'),
  withSetting('client_encoding', 'SQL_ASCII'),
  withSetting('client_min_messages', 'debug1'),
  withSetting('plan_cache_mode', 'force_generic_plan'),
  withSetting('plan_cache_mode', 'force_custom_plan'),
  withSetting('enable_seqscan', 'off'),
  withSetting('enable_indexscan', 'off'),
  withSetting('enable_hashjoin', 'off'),
  withSetting('geqo_threshold', '2'),
  withSetting('join_collapse_limit', '1'),
  withSetting('work_mem', '64kB'),
  withSetting('synchronous_commit', 'off'),
  withSetting('tcp_keepalives_idle', '1'),
  withSetting('default_toast_compression', 'pglz'),
  withSetting('default_table_access_method', 'heap'),
  {
    name: 'jit, of every plan',
    settings: { jit: 'on', jit_above_cost: '0', jit_inline_above_cost: '0' },
  },
  { name: 'collation C', create: `encoding 'UTF8' locale 'C'` },
  {
    name: 'collation of ICU, und',
    create: `encoding 'UTF8' locale 'C' locale_provider icu icu_locale 'und'`,
  },
  {
    name: 'collation of ICU that ignores case',
    create: `encoding 'UTF8' locale 'C' locale_provider icu icu_locale 'und-u-ks-level2'`,
  },
  { name: 'few connections', connections: 12 },
  {
    name: 'read-only and back',
    meanwhile: {
      everyMs: 2_000,
      isFromOutside: true,
      statements: (round, _, database) => [
        `alter database "${database}" set default_transaction_read_only = ${round % 2 ? 'off' : 'on'}`,
        terminateSql(database),
      ],
    },
  },
  {
    name: 'every connection ended, again and again',
    meanwhile: {
      everyMs: 3_000,
      isFromOutside: true,
      statements: (_, __, database) => [terminateSql(database)],
    },
  },
  {
    name: 'ACCESS EXCLUSIVE on each table',
    meanwhile: {
      everyMs: 300,
      statements: (round, tables) => [
        `lock table ${tables[round % tables.length]} in access exclusive mode; select pg_sleep(0.7)`,
      ],
    },
  },
  {
    name: 'columns that come and go',
    meanwhile: {
      everyMs: 100,
      statements: (round, tables) => [
        `alter table ${tables[round % tables.length]} add column if not exists "fromOutside" int`,
        `alter table ${tables[round % tables.length]} drop column if exists "fromOutside"`,
      ],
    },
  },
  {
    name: 'tables written anew',
    meanwhile: {
      everyMs: 200,
      statements: (round, tables) => [
        `${round % 2 ? 'vacuum full' : 'reindex table'} ${tables[round % tables.length]}`,
        'analyze',
      ],
    },
  },
]

/** A handful of cells that stand for the others. */
export const SHORT_FORM = [
  'TZ=Australia/Lord_Howe',
  'datestyle = SQL, DMY',
  'default_transaction_isolation = serializable',
  'client_encoding = LATIN1',
  'columns that come and go',
] as const

function terminateSql(database: string): string {
  return `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${database}'`
}
