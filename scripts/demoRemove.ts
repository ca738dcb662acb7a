import { withConnection } from '@roundsman/db/admin'
import { demoJobNames } from '@roundsman/jobs/demo'
import { refuseArguments } from './refuseArguments.ts'
import { runWithDatabase } from './runWithDatabase.ts'
import { DEMO_KEY } from './seed/demoHistory.ts'

const USAGE = `Usage: pnpm demo:remove

Removes the demo jobs with all their records and all their waiting work:
${demoJobNames.join(', ')};
and the weekly reports of demo customers.
Demo accounts, invoices and previews stay. Processes that are running keep the demo jobs
until they restart.

Exit code: 0 removed, 1 failed, 2 usage`

const BY_NAME = [
  ...['JobRun', 'JobTick', 'JobSchedule', 'JobAction', 'JobThrottle', 'JobClaim', 'JobCancel'],
  ...['JobWork', 'JobDeadLetter', 'JobUnique', 'JobKey'],
]
/** Of jobs by their names, which no job of the product has, and of the schedules of customers by their keys. */
const REMOVE = [
  // Steps and children go with their work, which is found by its runs and by what waits.
  ...[
    ['JobStep', 'workId'],
    ['JobChild', 'parentId'],
  ].map(
    ([table, id]) => `delete from "${table}" where "${id}" in (
      select "workId" from "JobRun" where "name" = any($1::text[]) union select "id" from "JobWork" where "name" = any($1::text[])
    )`,
  ),
  ...BY_NAME.map((table) => `delete from "${table}" where "name" = any($1::text[])`),
  // Limits that only the jobs share, and their own.
  `delete from "JobLimit" where "jobs" <@ $1::text[] or substring("name" from '^job:(.*)$') = any($1::text[])`,
  'delete from "JobRun" where "workId" in (select "workId" from "JobTick" where "key" like $1::text)',
  'delete from "JobTick" where "key" like $1::text',
  'delete from "JobSchedule" where "key" like $1::text',
  'delete from "JobAction" where "scheduleKey" like $1::text',
]

process.exit(refuseArguments(USAGE) ?? (await main()))

async function main(): Promise<number> {
  return await runWithDatabase(async ({ url }) => {
    const removed = await withConnection(
      { url, applicationName: 'roundsman demo' },
      async (connection) => {
        let rows = 0
        await connection.query('begin')
        for (const sql of REMOVE) {
          const of = sql.includes('text[]') ? demoJobNames : `${DEMO_KEY}%`
          rows += (await connection.query(sql, [of])).rowCount ?? 0
        }
        await connection.query('commit')
        return rows
      },
    )
    return removed === 0
      ? 'There is nothing of the demo jobs here.'
      : `Removed ${removed.toLocaleString('en')} rows of the demo jobs.`
  })
}
