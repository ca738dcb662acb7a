import { withConnection } from '@roundsman/db/admin'
import { demoJobNames } from '@roundsman/jobs/demo'
import { refuseArguments } from './refuseArguments.ts'
import { runWithDatabase } from './runWithDatabase.ts'
import { removeDemoStatements } from './seed/demoHistorySql.ts'

const USAGE = `Usage: pnpm demo:remove

Removes the demo jobs with all their records and all their waiting work:
${demoJobNames.join(', ')};
and the weekly reports of demo customers.
Demo accounts, invoices and previews stay. Processes that are running keep the demo jobs
until they restart.

Exit code: 0 removed, 1 failed, 2 usage`

process.exit(refuseArguments(USAGE) ?? (await main()))

async function main(): Promise<number> {
  return await runWithDatabase(async ({ url }) => {
    const removed = await withConnection(
      { url, applicationName: 'roundsman demo' },
      async (connection) => {
        let rows = 0
        await connection.query('begin')
        for (const [sql, of] of removeDemoStatements(demoJobNames)) {
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
