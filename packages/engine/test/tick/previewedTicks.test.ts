// Not quick: decides some thousands of ticks.
import { expect, it } from 'vitest'
import { defineJob } from '../../src/index.ts'
import { previewSchedule } from '../../src/control/previewSchedule.ts'
import { useFleet } from '../useFleet.ts'

const DAYS_MS = 2 * 86_400_000
const CRONS = ['30 2 * * *', '20 1-3 * * *', '15,45 2 * * 0']
/** Every fifth zone there is, with those that change their clocks in their own ways. */
const ZONES = [
  ...new Set([
    ...['Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'America/Havana', 'UTC'],
    ...Intl.supportedValuesOf('timeZone').filter((_, at) => at % 5 === 0),
  ]),
]

const job = defineJob({ name: 'previewed' })
const fleet = useFleet('2026-01-01T12:00:30Z')

it.each(['2026-03-07T12:00:30Z', '2026-03-28T12:00:30Z', '2026-10-24T12:00:30Z'])(
  'the ledger has what a preview shows, in each of over 80 zones, from %s on',
  async (start) => {
    expect(ZONES.length).toBeGreaterThanOrEqual(84)
    await fleet.at(start)
    const worker = await fleet.start('w1', [job])
    const all = ZONES.flatMap((timeZone) =>
      CRONS.map((cron) => ({ key: `${timeZone} ${cron}`, timeZone, cron })),
    )
    const how = { payload: {}, missed: 'all', overlap: 'allow' } as const
    await fleet.client.schedules.upsertMany(
      null,
      job,
      all.map((one) => ({ ...one, ...how, catchUpMs: DAYS_MS })),
    )
    const end = new Date(new Date(start).getTime() + DAYS_MS)
    await fleet.at(end.toISOString())
    await worker.wake()
    const ticks = await fleet.rows<{ key: string; at: Date }>(
      `select "key", "scheduledFor" as at from "JobTick" where "outcome" = 'enqueued'`,
    )
    const tell = (key: string, at: Date) => `${key} ${at.toISOString()}`
    const previewed = all.flatMap(({ key, cron, timeZone }) =>
      previewSchedule({ cron, timeZone, after: new Date(start), count: 10 })
        .filter(({ at }) => at <= end)
        .map(({ at }) => tell(key, at)),
    )
    expect(ticks.map(({ key, at }) => tell(key, at)).toSorted()).toEqual(previewed.toSorted())
    expect(ticks.length).toBeGreaterThan(500)
  },
  240_000,
)
