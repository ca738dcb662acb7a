import { waitFor } from '@roundsman/testing'
import { beforeAll, expect, it } from 'vitest'
import { defineJob } from '../../src/index.ts'
import { startTestWorker } from '../startTestWorker.ts'
import { useClientRuntime } from '../useClientRuntime.ts'

const limited = defineJob({ name: 'limited', concurrency: { global: 2 } })
const plain = defineJob({ name: 'plain' })

const { runtime, client } = useClientRuntime()

/** What a database may have as its defaults, and what each connection of a worker has instead. */
const SETTINGS = {
  jit: ['on', 'off'],
  datestyle: ['SQL, DMY', 'ISO, MDY'],
  intervalstyle: ['sql_standard', 'postgres'],
  timezone: ['Asia/Kathmandu', 'UTC'],
  bytea_output: ['escape', 'hex'],
  extra_float_digits: ['0', '1'],
  standard_conforming_strings: ['off', 'on'],
  array_nulls: ['off', 'on'],
  default_transaction_isolation: ['serializable', 'read committed'],
  idle_in_transaction_session_timeout: ['7s', '1min'],
  idle_session_timeout: ['7s', '0'],
  transaction_timeout: ['7s', '0'],
  statement_timeout: ['7s', '0'],
  lock_timeout: ['7s', '0'],
  enable_seqscan: ['on', 'on'],
  enable_bitmapscan: ['on', 'on'],
  tcp_user_timeout: ['7s', '15000'],
  tcp_keepalives_idle: ['77', '5'],
  tcp_keepalives_interval: ['77', '2'],
  tcp_keepalives_count: ['7', '4'],
} as const

const OURS = Object.fromEntries(Object.entries(SETTINGS).map(([name, [, value]]) => [name, value]))
const BY_INDEX = { enable_seqscan: 'off', enable_bitmapscan: 'off' }
const SESSION = { ...OURS, ...BY_INDEX, lock_timeout: '800ms', statement_timeout: '8s' }
const POOL = {
  ...OURS,
  statement_timeout: '10s',
  lock_timeout: '500ms',
  tcp_user_timeout: '30000',
  tcp_keepalives_idle: '10',
  tcp_keepalives_interval: '5',
}
const OWN = { ...POOL, ...BY_INDEX }

/** PostgreSQL itself writes down the settings: as a connection begins, and at its statements that write to these tables. */
const WRITE_DOWN = `
  create table "Seen" ("pid" int, "application" text, "at" text, "settings" jsonb);
  create function write_down() returns void language sql as $$
    insert into public."Seen"
    select pg_backend_pid(), current_setting('application_name'), 'statement', jsonb_object_agg(lower(name), current_setting(name))
    from pg_settings where lower(name) = any('{${Object.keys(SETTINGS).join(',')}}')
  $$;
  create function on_login() returns event_trigger language plpgsql as $$
    begin
      perform public.write_down();
      update public."Seen" set "at" = 'login' where "pid" = pg_backend_pid();
    end $$;
  create function on_write() returns trigger language plpgsql as $$ begin perform public.write_down(); return null; end $$;
  create trigger writes after insert or update or delete on "JobWorker" execute function on_write();
  create trigger writes after insert or update or delete on "JobClaim" execute function on_write();
  create trigger writes after insert or update or delete on "JobLimit" execute function on_write();
  create event trigger logins on login execute function on_login();
  alter event trigger logins enable always`

beforeAll(async () => {
  await runtime.rows(WRITE_DOWN)
  for (const [name, [foreign]] of Object.entries(SETTINGS))
    await runtime.rows(
      `alter database "${new URL(runtime.url).pathname.slice(1)}" set ${name} = '${foreign}'`,
    )
})

it('each connection of a running worker has its settings, from its first statement on', async () => {
  const { id } = await startTestWorker(runtime, {
    jobs: [plain, limited],
    handlers: { plain: async () => ({}), limited: async () => ({}) },
  })
  for (let n = 1; n <= 5; n++) {
    for (const job of [plain, limited]) await client.enqueueNow(job, {})
    await waitFor(async () => (await runtime.prisma.jobRun.count()) === 2 * n)
  }

  const seen = await runtime.rows<Seen>(
    `select distinct "pid", "application", "at", "settings" from "Seen" where "application" like $1`,
    [`roundsman ${id}%`],
  )
  const settingsOf = (kind: string, at: Seen['at']) =>
    seen.flatMap((one) =>
      one.application === `roundsman ${id}${kind}` && one.at === at ? [one.settings] : [],
    )
  // Servers before 17 refuse a connection that names this setting at its start, so a statement sets it.
  const atLogin = (settings: object) => ({ ...settings, transaction_timeout: '7s' })

  expect(settingsOf('', 'login')).toEqual([atLogin(OURS)])
  expect(settingsOf('', 'statement')).toEqual([SESSION])
  expect(settingsOf(' listening', 'login')).toEqual([atLogin(OURS)])
  for (const at of ['login', 'statement'] as const) {
    const [pool, own] = at === 'login' ? [atLogin(POOL), atLogin(OWN)] : [POOL, OWN]
    const isOwn = (settings: Seen['settings']) => settings['enable_seqscan'] === 'off'
    const owns = settingsOf(' engine', at).filter(isOwn)
    const others = settingsOf(' engine', at).filter((settings) => !isOwn(settings))
    expect(owns).toEqual(owns.map(() => own))
    expect(others).toEqual(others.map(() => pool))
    expect([owns.length, others.length]).not.toContain(0)
  }
  const kinds = ['', ' listening', ' engine'].map((kind) => `roundsman ${id}${kind}`)
  expect(new Set(seen.map(({ application }) => application))).toEqual(new Set(kinds))
})

interface Seen {
  [column: string]: unknown
  pid: number
  application: string
  at: 'login' | 'statement'
  settings: Record<string, string>
}
