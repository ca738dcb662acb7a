// Not quick: hashes many passwords.
import { pbkdf2 } from 'node:crypto'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { hashPassword, TooManyHashesError, verifyPassword } from '../src/passwords.ts'

/** The hash of `password`, with parameters that cost no time. */
const CHEAP_HASH = '$scrypt$ln=1,r=1,p=1$TmFDbA$ovY7jAYtMmCRlEGJuutmWwcskBd16OgbE3brxXKheEk'

it('hashes with a salt of its own, and names how', async () => {
  const [one, two] = await Promise.all([hashPassword('secret'), hashPassword('secret')])
  expect(one).toMatch(/^\$scrypt\$ln=14,r=8,p=5\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/)
  expect(one).not.toBe(two)
})

it('knows the password again, and no other one', async () => {
  const hash = await hashPassword('correct horse')
  expect(await verifyPassword('correct horse', hash)).toBe(true)
  expect(await verifyPassword('Correct horse', hash)).toBe(false)
  expect(await verifyPassword('password', CHEAP_HASH)).toBe(true)
  for (const other of ['password ', 'Password', 'pass', '']) {
    expect(await verifyPassword(other, CHEAP_HASH)).toBe(false)
  }
})

it('takes the parameters from the hash, so that older ones stay valid', async () => {
  // Test vector of RFC 7914, section 12: N = 1024, r = 8, p = 16.
  const hash =
    '$scrypt$ln=10,r=8,p=16$TmFDbA$/bq+HJ00cgB4VucZDQHp/nxq18vII3gw53N2Y0s3MWIurzDZLiKjiG/xCSedmDDaxyevuUqD7m2DYMvfoswGQA'
  expect(await verifyPassword('password', hash)).toBe(true)
  expect(await verifyPassword('Password', hash)).toBe(false)
})

it('leaves threads to others, however many passwords are checked', async () => {
  let checked = 0
  // More than there are threads.
  const all = Array.from({ length: 6 }, async () => {
    await hashPassword('secret')
    checked += 1
  })
  // A smaller version of what a new connection to PostgreSQL does.
  await promisify(pbkdf2)('secret', 'salt', 1, 32, 'sha256')
  expect(checked).toBe(0)
  await Promise.all(all)
  expect(checked).toBe(6)
})

it('lets so many wait, refuses those who come then, and takes others afterwards', async () => {
  // Who must wait is decided before any hash is done, however cheap it is.
  const results = await Promise.allSettled(
    Array.from({ length: 24 }, () => verifyPassword('Password', CHEAP_HASH)),
  )
  const refused = results.filter((result) => result.status === 'rejected')
  expect(refused).toHaveLength(24 - 18)
  for (const { reason } of refused) expect(reason).toBeInstanceOf(TooManyHashesError)
  expect(await verifyPassword('password', CHEAP_HASH)).toBe(true)
})

it('takes the same letters in any Unicode form', async () => {
  expect(await verifyPassword('Zoe\u0308', await hashPassword('Zo\u00eb'))).toBe(true)
})

it('says no without a hash, after the same time', async () => {
  const hash = await hashPassword('secret')
  // Takes the fastest of some, and compares them roughly: a busy machine adds time. Without a hash to compute, it would be
  // a thousandth.
  const timeOf = async (stored: string | undefined) => {
    const durations: number[] = []
    for (let i = 0; i < 2; i += 1) {
      const start = performance.now()
      expect(await verifyPassword('wrong', stored)).toBe(false)
      durations.push(performance.now() - start)
    }
    return Math.min(...durations)
  }
  expect(await timeOf(undefined)).toBeGreaterThan((await timeOf(hash)) / 20)
})

it('refuses a stored hash that it cannot read, rather than every password', async () => {
  for (const hash of [
    '',
    'secret',
    '$argon2id$v=19$m=1,t=1,p=1$c2FsdA$aGFzaA',
    '$scrypt$ln=14$a$b',
  ]) {
    await expect(verifyPassword('secret', hash)).rejects.toThrow('not a scrypt hash')
  }
})
