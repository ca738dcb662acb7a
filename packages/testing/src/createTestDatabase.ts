import { randomBytes } from 'node:crypto'
import { inject } from 'vitest'
import { createDatabase, dropDatabase, withAdmin } from './adminConnection.ts'
import { madeDatabases, problems } from './madeDatabases.ts'

export interface TestDatabase {
  url: string
  /** Also drops it with open connections. Further calls do nothing. */
  drop(): Promise<void>
}

export interface CreateTestDatabaseOptions {
  /** False: an empty database. Default: one with all migrations and the queue's tables. */
  migrated?: boolean
  /** False: one with our migrations to which no worker was deployed yet. Default: true. */
  withQueue?: boolean
}

/** Creates a database for one test file in milliseconds, as a copy of a template. */
export async function createTestDatabase(
  options: CreateTestDatabaseOptions = {},
): Promise<TestDatabase> {
  const { migrated = true, withQueue = true } = options
  const { adminUrl, prefix, copies, ...templates } = inject('testServer')
  const name = `${prefix}${randomBytes(6).toString('hex')}`
  const template = withQueue ? templates.template : templates.templateWithoutQueue
  const url = await createDatabase(adminUrl, name, migrated ? { template, copies } : undefined)
  madeDatabases.add(name)
  return {
    url,
    async drop() {
      if (madeDatabases.delete(name)) await lookForProblems(url)
      await dropDatabase(adminUrl, name)
    },
  }
}

/** A worker that was stopped must leave no claim, and no limit may be exceeded. This looks before the database is gone. */
async function lookForProblems(url: string): Promise<void> {
  await withAdmin(url, async (client) => {
    const { rows } = await client.query<{ hasClaims: boolean; hasLimits: boolean }>(
      `select to_regclass('public."JobClaim"') is not null as "hasClaims",
              to_regclass('public."JobLimitViolation"') is not null as "hasLimits"`,
    )
    const [made] = rows
    if (made?.hasLimits) {
      const above = await client.query<Record<string, unknown>>('select * from "JobLimitViolation"')
      for (const one of above.rows)
        problems.push(`- more runs than a limit allows: ${JSON.stringify(one)}`)
    }
    if (made?.hasClaims) {
      // A stopped worker removes its row, and a killed one leaves it. Ids that tests invented have another form.
      const left = await client.query<{ name: string; workerId: string }>(
        `select "name", "workerId" from "JobClaim"
         where "workerId" ~ ':[0-9]+:[0-9a-f]{8}$'
           and "workerId" not in (select "id" from "JobWorker")`,
      )
      for (const { name, workerId } of left.rows)
        problems.push(`- a claim on work of ${name} by the worker ${workerId}, which was stopped`)
    }
  })
}
