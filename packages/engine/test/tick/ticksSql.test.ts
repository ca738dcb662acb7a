import { expect, it } from 'vitest'
import { defineJob, type Job } from '../../src/index.ts'
import { ticksSql, toDefinitions, type TicksSeen } from '../../src/tick/defineSchedules.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

const runtime = useTestRuntime({ cleared: ['JobSchedule'] })
const sweep = defineJob({ name: 'sweep', schedule: { cron: '* * * * *' } }) as Job

it('a tick that comes due while PostgreSQL looks is next at once', async () => {
  const seen = await runtime.database.transaction(async (tx) => {
    await tx.query(
      `insert into "JobSchedule" ("name", "key", "cron", "timeZone", "perDay", "cursor", "nextAt", "dueAt")
       values ('sweep', '', '* * * * *', 'UTC', 1440, now(), now() + interval '1 ms', now() + interval '1 ms')`,
    )
    // In a transaction now() stands still, as in a statement that takes long.
    await tx.query(
      `do $$ begin while clock_timestamp() < now() + interval '2 ms' loop end loop; end $$`,
    )
    const { rows } = await tx.query<{ seen: TicksSeen }>(`select ${ticksSql('$1')} as "seen"`, [
      toDefinitions([sweep]),
    ])
    return rows[0]?.seen
  })
  expect(seen).toMatchObject({ due: [], nextInMs: 0 })
})
