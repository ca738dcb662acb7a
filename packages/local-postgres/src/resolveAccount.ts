import { readFile } from 'node:fs/promises'

export interface Account {
  name: string
  uid: number
  gid: number
}

/**
 * PostgreSQL refuses to run as root. For root, this returns the account to run it: the owner of an existing cluster, else
 * `postgres`, else `nobody`. For any other user it returns undefined, who runs PostgreSQL as themselves.
 */
export async function resolveAccount(owner?: {
  uid: number
  gid: number
}): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const accounts = await readAccounts()
  if (owner !== undefined && owner.uid !== 0) {
    // The account may be deleted; its ids are enough to run as it.
    const name = accounts.find((account) => account.uid === owner.uid)?.name ?? `uid ${owner.uid}`
    return { name, uid: owner.uid, gid: owner.gid }
  }
  const account = ['postgres', 'nobody']
    .map((name) => accounts.find((candidate) => candidate.name === name && candidate.uid !== 0))
    .find((candidate) => candidate !== undefined)
  if (account === undefined) {
    throw new Error(
      'PostgreSQL must not run as root, and /etc/passwd has neither an account "postgres" nor one ' +
        'called "nobody" to run it as. Start as an ordinary user, or set DATABASE_URL.',
    )
  }
  return account
}

async function readAccounts(): Promise<Account[]> {
  const text = await readFile('/etc/passwd', 'utf8').catch(() => '')
  return text.split('\n').flatMap((line) => {
    const [name, , uid, gid] = line.split(':')
    if (!name || !/^\d+$/.test(uid ?? '') || !/^\d+$/.test(gid ?? '')) return []
    return [{ name, uid: Number(uid), gid: Number(gid) }]
  })
}
