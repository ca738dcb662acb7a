import { DEMO_PASSWORD, DEMO_USERS, withConnection } from '@roundsman/db/admin'

export { DEMO_PASSWORD }

export interface SeedResult {
  isNew: boolean
  /** The demo users that exist: somebody may have removed one on purpose. */
  demoUsers: { email: string; role: string }[]
}

export interface SeedOptions {
  /** Whether to add the demo's jobs, with a week of their history. Default true. */
  withJobs?: boolean
}

/**
 * Adds demo data to a database without users. One with a user was seeded before or is somebody's own: it gets nothing,
 * so that what people and clean-ups removed stays removed.
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

/** Imports the code that adds them only now: most starts find users and need none of it. */
async function addAll(url: string, withJobs: boolean): Promise<boolean> {
  const { addDemoData } = await import('./addDemoData.ts')
  return addDemoData(url, { users: DEMO_USERS, password: DEMO_PASSWORD, withJobs })
}
