import { randomBytes } from 'node:crypto'
import type { TestRuntime } from './openTestRuntime.ts'

/**
 * A login role whose statements run as another, as where passwords are made for a while and belong to nobody. Returns the
 * address by which it logs in.
 */
export async function createBorrowingRole({
  url,
  rows,
}: Pick<TestRuntime, 'url' | 'rows'>): Promise<{ url: string; drop(): Promise<void> }> {
  const id = randomBytes(6).toString('hex')
  const [owner, login] = [`owner_${id}`, `login_${id}`]
  for (const text of [
    `create role ${owner}`,
    `create role ${login} login password 'x' in role ${owner}`,
    `alter role ${login} set role = ${owner}`,
    `grant all on all tables in schema public to ${owner}`,
  ])
    await rows(text)
  const borrowed = new URL(url)
  borrowed.username = login
  borrowed.password = 'x'
  return {
    url: borrowed.href,
    async drop() {
      await rows(`drop owned by ${owner}`)
      await rows(`drop role ${login}, ${owner}`)
    },
  }
}
