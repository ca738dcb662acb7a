import { defineJob } from '@roundsman/engine'
import { collectOutput, emptyTables, openForTests, QUEUE } from '@roundsman/testing'
import { openTestDatabase } from '@roundsman/testing/openTestDatabase'
import { beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { exitCodeOf } from '../../src/command/runCommand.ts'
import { createSchedulesCommand } from '../../src/control/schedulesCommand.ts'

const sendReport = defineJob({
  name: 'sendReport',
  payload: z.strictObject({ tenantId: z.number() }),
  label: ({ tenantId }) => `Tenant ${tenantId}`,
})
const jobs = [sendReport, defineJob({ name: 'pruneDrafts' })]
const database = openForTests(openTestDatabase)
const command = createSchedulesCommand({
  call: 'roundsman schedules',
  open: async () => ({
    jobs,
    catalogue: jobs,
    isEnabled: true,
    cronVariable: null,
    within: (work) => work({ databaseUrl: database.url, schema: 'public' }),
    withHandlers: () => Promise.reject(new Error('nothing runs here')),
  }),
})

async function run(...args: string[]) {
  const { stdout, stderr, lines } = collectOutput()
  const code = await exitCodeOf(command, args, { variables: {}, stdout, stderr })
  return { code, ...lines() }
}
/** What it prints where all goes well. */
async function tell(...args: string[]) {
  const { code, stdout, stderr } = await run(...args)
  expect({ code, stderr }).toEqual({ code: 0, stderr: [] })
  return stdout
}
const json = async (...args: string[]) =>
  JSON.parse((await tell(...args, '--json')).join('')) as Record<string, unknown>

/** Due next in a year that stays the same. */
const set = (key: string, ...more: string[]) =>
  tell(
    ...['set', 'sendReport', key, '--cron', '0 9 * * 1', '--time-zone', 'Europe/Lisbon'],
    ...['--payload', '{"tenantId": 7}', '--starts', '2098-12-30', ...more],
  )
const rows = () =>
  database.prisma.$queryRaw<Record<string, unknown>[]>`
    select "key", "cron", "timeZone", "payload", "version", "missed", "overlap", "jitterMs"::int as jitter, "endsAt" from "JobSchedule"`

beforeEach(async () => {
  await emptyTables(
    database.prisma,
    `"JobRun", "JobClaim", "JobSchedule", "JobTick", "JobAction", ${QUEUE}`,
  )
  await database.prisma.$executeRaw`alter sequence "JobKeyedVersion" restart`
})

describe('set', () => {
  it('makes one, and changes what is given alone', async () => {
    expect(await set('tenant-7', '--jitter', '90s', '--ends', '2099-06-01')).toEqual([
      'The schedule tenant-7 of sendReport is created: version 1, next at 2099-01-05 09:00:00 UTC.',
    ])
    const changed = await json(
      ...['set', 'sendReport', 'tenant-7', '--cron', '0 8 * * 1', '--ends', 'never'],
      ...['--missed', 'all', '--overlap', 'allow'],
    )
    expect(changed).toEqual({
      ...{ name: 'sendReport', key: 'tenant-7', kind: 'changed', version: 2 },
      nextAt: '2099-01-05T08:00:00.000Z',
    })
    expect(await rows()).toEqual([
      {
        ...{ key: 'tenant-7', cron: '0 8 * * 1', timeZone: 'Europe/Lisbon', version: 2 },
        ...{ payload: { tenantId: 7 }, missed: 'all', overlap: 'allow', jitter: 90_000 },
        endsAt: null,
      },
    ])
    expect(await tell('set', 'sendReport', 'tenant-7', '--time-zone', 'Europe/Lisbon')).toEqual([
      'The schedule tenant-7 of sendReport is unchanged: version 2, next at 2099-01-05 08:00:00 UTC.',
    ])
  })

  it('keeps seconds that somebody has allowed', async () => {
    const seconds = ['--cron', '*/10 * 9 * * 1', '--allow-seconds']
    await set('tenant-7', ...seconds)
    await tell('set', 'sendReport', 'tenant-7', '--overlap', 'allow')
    expect(await rows()).toMatchObject([{ cron: '*/10 * 9 * * 1', overlap: 'allow', version: 2 }])
  })

  it.each([
    [['set', 'sendReport', 'tenant-7'], 2, '--cron is missing: when is it due?'],
    [['set', 'sendReport', 'tenant-7', '--cron', '0 9 * * *'], 1, 'tenantId: Required.'],
    [['set', 'sendReport', 'tenant-7', '--cron', '61 9 * * *'], 2, /^cron cannot be used: /],
    [
      ['set', 'sendReport', 'tenant-7', '--cron', '0 9 * * *', '--payload', '{'],
      2,
      /^--payload is no JSON: /,
    ],
    [
      ['set', 'sendReport', 'tenant-7', '--cron', '0 9 * * *', '--jitter', 'long'],
      2,
      '--jitter: "long" is no duration; give one such as 90s, 15min, 2h or 3d',
    ],
    [
      ['set', 'sendReport', 'tenant-7', '--cron', '0 9 * * *', '--ends', 'soon'],
      2,
      /^--ends: "soon" is not a date; .*, or never$/,
    ],
    [
      ['set', 'sendReport', 'tenant-7', '--cron', '0 9 * * *', '--overlap', 'wait'],
      2,
      'overlap must be one of skip, allow, not "wait"',
    ],
    [['set', 'sendReports', 'tenant-7', '--cron', '0 9 * * *'], 2, /did you mean sendReport\?/],
    [
      ['set', 'sendReport', '', '--cron', '0 9 * * *', '--payload', '{"tenantId": 7}'],
      1,
      /^key is empty, which is the schedule of the job itself/,
    ],
    [['pause', 'sendReport', 'tenant-7'], 2, '--reason is missing: say why'],
    [['trigger', 'sendReport'], 2, 'Which schedule? Give its key'],
    [['backfill', 'sendReport', 'tenant-7', '--reason', 'x'], 2, '--from is missing: since when?'],
    [
      ['backfill', 'sendReport', 'tenant-7', '--from', 'May', '--reason', 'x'],
      2,
      /^--from: "May" is not a date;/,
    ],
    [
      ['backfill', 'sendReport', 'tenant-7', '--from', '2026-05-04', '--reason', 'x'],
      1,
      'sendReport has no schedule tenant-7',
    ],
    [['show', 'sendReport', 'tenant-7'], 1, 'sendReport has no schedule tenant-7'],
    [['resume', 'sendReport', 'tenant-7'], 1, 'sendReport has no schedule tenant-7'],
    [['preview', 'pruneDraft', 'tenant-7'], 2, /did you mean pruneDrafts\?/],
    [['list', 'sendReport', 'tenant-7'], 2, 'list takes a job; to look for a key, give --search'],
    [['list', '--state', 'lost'], 2, 'state must be one of paused, refused, late, not "lost"'],
    [['list', '--after', 'x'], 2, '--after: "x" is not a position that this command has printed'],
    [
      ['carry'],
      2,
      /^Say what to do: list, show, preview, set, pause, resume, trigger, backfill, delete$/,
    ],
  ])('refuses %j', async (args, code, message) => {
    const answer = await run(...args)
    expect(answer).toMatchObject({ code, stdout: [] })
    expect(answer.stderr[0]).toMatch(message)
    expect(await rows()).toEqual([])
  })
})

it('lists them by job and key, with what keeps one from being due, and goes on where there is more', async () => {
  for (const key of ['tenant-3', 'tenant-1', 'other']) await set(key)
  await tell('pause', 'sendReport', 'tenant-1', '--reason', 'has not\npaid')
  const first = await tell('list', 'sendReport', '--search', 'tenant', '--limit', '1')
  expect(first).toEqual([
    '2099-01-05 09:00:00  sendReport  tenant-1',
    '  0 9 * * 1 in Europe/Lisbon',
    expect.stringMatching(/^ {2}paused since \d{4}-\d\d-\d\d \d\d:\d\d UTC by .+: has not paid$/),
    '',
    'More: --after sendReport/tenant-1',
  ])
  const rest = await json('list', '--search', 'tenant', '--after', 'sendReport/tenant-1')
  expect(rest).toMatchObject({ schedules: [{ key: 'tenant-3', version: 1 }], next: null })
  expect(await json('list', '--state', 'paused')).toMatchObject({
    schedules: [{ key: 'tenant-1', pauseReason: 'has not\npaid' }],
  })
  await database.prisma
    .$executeRaw`update "JobSchedule" set "nextAt" = now() - interval '1 hour', "dueAt" = now() - interval '1 hour' where "key" = 'other'`
  expect((await tell('list', '--state', 'late')).at(-1)).toBe(
    '  late: its tick is due, and no worker has decided it',
  )
  expect(await tell('list', 'pruneDrafts')).toEqual(['No schedule matches.'])
})

it('pauses and resumes one, has a run of it, and deletes it, each on record', async () => {
  await set('tenant-7')
  const why = ['--reason', 'has not paid']
  const name = 'The schedule tenant-7 of sendReport'
  expect(await tell('pause', 'sendReport', 'tenant-7', ...why)).toEqual([`${name} is paused.`])
  expect(await tell('pause', 'sendReport', 'tenant-7', ...why)).toEqual([
    expect.stringMatching(
      /^The schedule tenant-7 of sendReport was paused since .+: has not paid already\.$/,
    ),
  ])
  const { workId } = await json('trigger', 'sendReport', 'tenant-7', ...why)
  expect(
    await database.prisma.$queryRaw`select "id"::text, "label", "payload" from "JobWork"`,
  ).toEqual([{ id: workId, label: 'Tenant 7', payload: { tenantId: 7 } }])
  expect(await json('resume', 'sendReport', 'tenant-7')).toMatchObject({ outcome: 'resumed' })
  expect(await tell('resume', 'sendReport', 'tenant-7')).toEqual([`${name} was not paused.`])
  expect(await tell('delete', 'sendReport', 'tenant-7', ...why)).toEqual([
    `${name} is deleted; its work, ticks and runs stay.`,
  ])
  expect(await rows()).toEqual([])
  expect(await run('delete', 'sendReport', 'tenant-7')).toMatchObject({ code: 1 })
  const { schedule, actions } = await json('show', 'sendReport', 'tenant-7')
  expect(schedule).toBeNull()
  expect((actions as { action: string }[]).map(({ action }) => action)).toEqual([
    ...['reschedule', 'resume', 'run', 'pause', 'reschedule'],
  ])
})

it('resumes all of a job that are paused', async () => {
  for (const key of ['tenant-1', 'tenant-2', 'tenant-3']) await set(key)
  for (const key of ['tenant-1', 'tenant-3'])
    await tell('pause', 'sendReport', key, '--reason', 'x')
  expect(await tell('resume', 'sendReport', '--all')).toEqual([
    '2 schedules of sendReport are resumed.',
  ])
  expect(await json('list', '--state', 'paused')).toMatchObject({ schedules: [] })
  expect(await json('resume', 'sendReport', '--all')).toEqual({ name: 'sendReport', resumed: 0 })
  expect(await run('resume', 'sendReport', 'tenant-1', '--all')).toMatchObject({ code: 2 })
  expect((await run('resume', 'sendReports', '--all')).stderr[0]).toMatch(/did you mean sendReport/)
})

it('backfills the ticks of some weeks, once', async () => {
  await set('tenant-7', '--starts', '2026-01-01')
  const weeks = ['--from', '2026-05-04', '--to', '2026-05-18T09:00+01:00', '--reason', 'was down']
  expect(await tell('backfill', 'sendReport', 'tenant-7', ...weeks)).toEqual([
    'The schedule tenant-7 of sendReport has 3 runs more to do; 0 of its ticks had one.',
  ])
  expect(await json('backfill', 'sendReport', 'tenant-7', ...weeks)).toEqual({
    ...{ name: 'sendReport', key: 'tenant-7', enqueued: 0, kept: 3 },
  })
  expect(
    await database.prisma
      .$queryRaw`select distinct "label", count(*)::int as "n" from "JobWork" group by 1`,
  ).toEqual([{ label: 'Tenant 7', n: 3 }])
})

it('shows one: when it is due, what became of its ticks, and who changed it', async () => {
  await set('tenant-7', '--reason', 'asked for it')
  await database.prisma.$executeRaw`
    insert into "JobTick" ("name", "key", "scheduledFor", "outcome", "reason", "version")
    select 'sendReport', 'tenant-7', make_timestamptz(2026, 11, day, 9, 0, 0, 'UTC'), 'skipped', 'paused', 1
    from unnest(array[9, 2, 16]) day`
  const lines = await tell('show', 'sendReport', 'tenant-7', '--limit', '2')
  expect(lines.slice(0, 7)).toEqual([
    'Schedule  tenant-7',
    'Job       sendReport',
    'Version   1',
    'Due       at 09:00, only on Monday, Europe/Lisbon',
    'Cron      0 9 * * 1',
    'From      2098-12-30 00:00:00 UTC',
    'Next      2099-01-05 09:00:00 +00:00 (2099-01-05 09:00:00 UTC)',
  ])
  expect(lines.slice(11, 15)).toEqual([
    'Missed    once: one run for all of them of the last 1 d',
    'Overlap   skip',
    'Ticks     2026-11-16 09:00:00 UTC skipped, paused',
    '          2026-11-09 09:00:00 UTC skipped, paused',
  ])
  expect(lines.slice(15).join(' ').replaceAll(/ +/g, ' ')).toMatch(
    /^Changes .+ UTC reschedule by .+: 0 9 .+, before: none; asked for it$/,
  )
})

it('previews one, one with another expression, and any expression', async () => {
  await set('tenant-7')
  const one = ['preview', 'sendReport', 'tenant-7', '--limit', '2']
  expect(await tell(...one)).toEqual([
    '2099-01-05 09:00:00 +00:00  (2099-01-05 09:00:00 UTC)',
    '2099-01-12 09:00:00 +00:00  (2099-01-12 09:00:00 UTC)',
  ])
  expect(await json(...one, '--cron', '30 2 * * *', '--time-zone', 'Asia/Tokyo')).toMatchObject({
    timeZone: 'Asia/Tokyo',
    upcoming: [{ at: '2098-12-30T17:30:00.000Z', local: '2098-12-31 02:30:00' }, {}],
  })
  expect((await json('preview', '--cron', '0 9 * * *'))['upcoming']).toHaveLength(20)
})
