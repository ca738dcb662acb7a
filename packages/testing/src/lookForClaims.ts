import { withAdmin } from './adminConnection.ts'
import { problems } from './madeDatabases.ts'

/** A worker that was stopped leaves neither a claim nor a run: looked for before its database is gone. */
export async function lookForClaims(url: string): Promise<void> {
  const left = await withAdmin(url, async (client) => {
    const { rows } = await client.query<{ left: boolean }>(
      `select to_regclass('public."JobClaim"') is not null as "left"`,
    )
    if (!rows[0]?.left) return []
    // Stopped ones take their row along, and killed ones leave it. Ids that tests have made up look otherwise.
    const found = await client.query<{ name: string; workerId: string }>(
      `select "name", "workerId" from "JobClaim"
       where "workerId" ~ ':[0-9]+:[0-9a-f]{8}$'
         and "workerId" not in (select "id" from "JobWorker")`,
    )
    return found.rows
  })
  for (const { name, workerId } of left) {
    problems.push(`- a claim on work of ${name} by the worker ${workerId}, which was stopped`)
  }
}
