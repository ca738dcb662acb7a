import { describe, expect, it } from 'vitest'
import { defineJob, reschedule, type Job } from '../../src/index.ts'
import { defineSchedules, definersSql } from '../../src/tick/defineSchedules.ts'
import { useFleet } from '../useFleet.ts'

const fleet = useFleet('2026-05-03T10:30:00Z')
const { rows, at, start, signUp, kill, ledger } = fleet

const sweepAt = (cron: string) =>
  defineJob({ name: 'sweep', schedule: { cron, missed: 'all', overlap: 'allow' } }) as Job
const hourly = sweepAt('0 * * * *')
const halfPast = sweepAt('30 * * * *')
const unscheduled = defineJob({ name: 'sweep' }) as Job
const by = { actor: 'ada', reason: 'a test' }

const definition = async () =>
  (await rows<{ cron: string }>(`select "cron" from "JobSchedule" where "retiredAt" is null`)).map(
    ({ cron }) => cron,
  )
const actions = () =>
  rows<{ action: string; actor: string; reason: string }>(
    'select "action", "actor", "reason" from "JobAction" order by ctid',
  )

describe('of the workers that live and know a job, the schedule is defined by', () => {
  type Signed = [id: string, version: string | null, jobs?: string[]]
  const former = (version: string, hoursAgo: number) =>
    rows(
      `insert into "JobFormerWorker" ("id", "version", "startedAt", "endedAt")
       values (gen_random_uuid()::text, $1, now() - $2 * interval '1 hour', now())`,
      [version, hoursAgo],
    )

  it.each<[string, Signed[], string | null]>([
    ['nobody while none lives', [], null],
    [
      'the version that appeared last',
      [
        ['a', '1'],
        ['b', '2'],
      ],
      'b',
    ],
    [
      'that version also where one before it has restarted',
      [
        ['a', '1'],
        ['b', '2'],
        ['c', '1'],
      ],
      'b',
    ],
    [
      'the last to sign up of that version',
      [
        ['a', '1'],
        ['b', '2'],
        ['c', '2'],
      ],
      'c',
    ],
    [
      'a version that was there long ago, where the last one has none of it',
      [
        ['a', 'old'],
        ['b', '1', ['other']],
      ],
      'a',
    ],
    [
      'the version that first appeared last, not the one whose worker did',
      [
        ['a', '1'],
        ['b', 'old'],
      ],
      'a',
    ],
    [
      'a worker with a version before one without',
      [
        ['a', '1'],
        ['b', null],
      ],
      'a',
    ],
    [
      'the last to sign up of those without a version',
      [
        ['a', null],
        ['b', null],
      ],
      'b',
    ],
    [
      'the one that knows the job',
      [
        ['a', null],
        ['b', '2', []],
      ],
      'a',
    ],
    [
      'the one before where the last was killed',
      [
        ['a', '1'],
        ['b', '2'],
        ['killed', '3'],
      ],
      'b',
    ],
  ])('%s', async (_what, signed, expected) => {
    await former('old', 2)
    await former('old', 1)
    for (const [id, version, jobs = ['sweep']] of signed) await signUp(id, jobs, version)
    await kill('killed')
    const found = await rows<{ id: string }>(definersSql('$1::text[]', '$2::text'), [['sweep'], ''])
    expect(found[0]?.id ?? null).toBe(expected)
  })
})

describe('a worker that defines a schedule', () => {
  it('decides what is due by the old definition, and begins the new one from now', async () => {
    await start('w1', [hourly])
    await at('2026-05-03T12:10:00Z')
    await start('w2', [halfPast])
    expect([await definition(), await ledger()]).toEqual([
      ['30 * * * *'],
      ['11:00:00 enqueued', '12:00:00 enqueued'],
    ])
    expect(
      await rows(
        'select "version", "cursor", "nextAt" = "dueAt" as same, "nextAt" from "JobSchedule"',
      ),
    ).toEqual([
      {
        ...{ version: 2, same: true, cursor: new Date('2026-05-03T12:10:00Z') },
        nextAt: new Date('2026-05-03T12:30:00Z'),
      },
    ])
  })

  it('leaves what is due alone where it changes the policies only', async () => {
    await start('w1', [hourly])
    await at('2026-05-03T11:00:00Z')
    await start('w2', [defineJob({ name: 'sweep', schedule: { cron: '0 * * * *' } }) as Job])
    expect(await rows('select "overlap", "cursor", "version" from "JobSchedule"')).toEqual([
      { overlap: 'skip', cursor: new Date('2026-05-03T11:00:00Z'), version: 2 },
    ])
    expect(await ledger()).toEqual(['11:00:00 enqueued'])
  })

  it('writes it again in the next round once those of a later version are gone', async () => {
    const first = await start('w1', [hourly], { version: '1' })
    await start('w2', [halfPast], { version: '2' })
    await first.wake()
    expect(await definition()).toEqual(['30 * * * *'])
    await kill('w2')
    await first.wake()
    expect(await definition()).toEqual(['0 * * * *'])
  })

  it('leaves the row alone where a worker of a later version has signed up since it asked', async () => {
    await start('w1', [hourly], { version: '1' })
    await signUp('w2', ['sweep'], '2')
    const log = { warn: () => undefined, error: () => undefined }
    const how = { workerId: 'w1', log }
    await fleet.own.transaction((tx) => defineSchedules(tx, [halfPast], how))
    expect(await definition()).toEqual(['0 * * * *'])
    await kill('w2')
    await fleet.own.transaction((tx) => defineSchedules(tx, [halfPast], how))
    expect(await definition()).toEqual(['30 * * * *'])
  })

  it('records the change: from what to what, by which version, and by which variable', async () => {
    await start('w1', [hourly], { version: '1' })
    await start('w2', [reschedule(hourly, '30 * * * *', 'SWEEP_CRON')], { version: '2' })
    const change = '30 * * * * in UTC by SWEEP_CRON, before: 0 * * * * in UTC'
    expect(await actions()).toEqual([{ action: 'reschedule', actor: 'version 2', reason: change }])
  })

  it('inserts a row that somebody has deleted', async () => {
    const worker = await start('w1', [hourly])
    await rows('delete from "JobSchedule"')
    await worker.wake()
    expect(await definition()).toEqual(['0 * * * *'])
  })

  it('writes over a row that nobody can read, whose first due tick is missed', async () => {
    await start('w1', [hourly])
    await rows(`update "JobSchedule" set "cron" = 'no cron'`)
    await at('2026-05-03T11:00:10Z')
    await start('w2', [hourly])
    expect([await definition(), await ledger()]).toEqual([['0 * * * *'], ['11:00:00 missed']])
  })
})

describe('a job that has no schedule any more', () => {
  it('has its row retired, which keeps pause and ledger, and returns with ticks from then on', async () => {
    await start('w1', [hourly])
    await at('2026-05-03T11:00:00Z')
    await fleet.client.pauseSchedule('sweep', by)
    const without = await start('w2', [unscheduled])
    await at('2026-05-03T12:00:00Z')
    await without.wake()
    expect([await definition(), await ledger()]).toEqual([[], ['11:00:00 skipped']])
    expect(await fleet.client.resumeSchedule('sweep', by)).toBe('notScheduled')

    await start('w3', [hourly])
    await at('2026-05-03T13:00:00Z')
    await without.wake()
    expect([await definition(), await ledger()]).toEqual([
      ['0 * * * *'],
      ['11:00:00 skipped', '13:00:00 skipped'],
    ])
    expect(await rows('select "pausedBy", "version" from "JobSchedule"')).toEqual([
      { pausedBy: 'ada', version: 3 },
    ])
  })

  it('keeps it where the worker that has none does not define', async () => {
    await start('w1', [hourly], { version: '1' })
    await start('w2', [unscheduled])
    expect(await definition()).toEqual(['0 * * * *'])
  })
})

describe('while a transaction holds the row of a schedule', () => {
  it('a worker starts, and defines it afterwards; its other schedules are there at once', async () => {
    const daily = defineJob({ name: 'daily', schedule: { cron: '0 3 * * *' } }) as Job
    await start('w1', [hourly])
    await fleet.own.transaction(async (tx) => {
      await tx.query(`select from "JobSchedule" for update`)
      await start('w2', [halfPast, daily])
      expect((await definition()).toSorted()).toEqual(['0 * * * *', '0 3 * * *'])
    })
    const third = await start('w3', [halfPast, daily])
    await third.wake()
    expect((await definition()).toSorted()).toEqual(['0 3 * * *', '30 * * * *'])
  })

  it('that has inserted it and not committed, the others are defined', async () => {
    const daily = defineJob({ name: 'daily', schedule: { cron: '0 3 * * *' } }) as Job
    await fleet.own.transaction(async (tx) => {
      await tx.query(
        `insert into "JobSchedule" ("name", "cron", "timeZone", "cursor") values ('sweep', '0 * * * *', 'UTC', now())`,
      )
      await start('w1', [hourly, daily])
      expect(await definition()).toEqual(['0 3 * * *'])
    })
  })
})
