import { DEMO_PASSWORD, DEMO_USERS, withConnection } from '@roundsman/db/admin'

export { DEMO_PASSWORD }

export interface SeedResult {
  isNew: boolean
  /** Those of the demo users who exist: somebody may have removed one on purpose. */
  demoUsers: { email: string; role: string }[]
}

export interface SeedOptions {
  /** Whether the jobs of the demo are there, with a week of what they did. Default true. */
  withJobs?: boolean
}

/**
 * Fills a database that knows nobody with demo data. One that has a user was seeded before or is somebody's
 * own; nothing is added to it, so that what clean-ups and people removed stays removed.
 */
export async function seedDemoData(
  url: string,
  { withJobs = true }: SeedOptions = {},
): Promise<SeedResult> {
  return withConnection({ url, applicationName: 'roundsman seed' }, async (connection) => {
    const { rowCount } = await connection.query('select from "User" limit 1')
    const isNew = rowCount === 0 && (await addAll(url, withJobs))
    const { rows } = await connection.query<{ email: string; role: string }>(
      'select "email", "role" from "User" where "email" = any($1) order by "role"',
      [DEMO_USERS.map(({ email }) => email)],
    )
    return { isNew, demoUsers: rows }
  })
}

/** Most starts find somebody, and do not wait for this code to be loaded. */
async function addAll(url: string, withJobs: boolean): Promise<boolean> {
  const { addDemoData } = await import('./addDemoData.ts')
  return addDemoData(url, { users: DEMO_USERS, password: DEMO_PASSWORD, withJobs })
}
