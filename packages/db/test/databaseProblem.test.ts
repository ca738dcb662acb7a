import { createServer, type AddressInfo } from 'node:net'
import { createPooler, createTestDatabase, type CreatePoolerOptions } from '@roundsman/testing'
import { describe, expect, it } from 'vitest'
import { databaseProblem, examineDatabase } from '../src/index.ts'

const withChanges = async (change: (url: URL) => void) => {
  const database = await createTestDatabase({ migrated: false })
  try {
    const url = new URL(database.url)
    change(url)
    return await databaseProblem(url.href)
  } finally {
    await database.drop()
  }
}

const behindPooler = async (options?: CreatePoolerOptions) => {
  const database = await createTestDatabase({ migrated: false })
  const pooler = await createPooler(database.url, options)
  try {
    return await examineDatabase(pooler.url)
  } finally {
    await pooler.close()
    await database.drop()
  }
}

describe('databaseProblem', () => {
  it('is null for a database that can be used', async () => {
    expect(await withChanges(() => undefined)).toBeNull()
  })

  it('says that a database does not exist', async () => {
    expect(await withChanges((url) => (url.pathname = '/nowhere'))).toContain(
      'there is no database "nowhere"',
    )
  })

  it('says that a password is refused, without repeating it', async () => {
    const problem = await withChanges((url) => {
      url.username = 'nobody-here'
      url.password = 'letmein-secret'
    })
    expect(problem).toMatch(/^DATABASE_URL: .* refuses the role nobody-here or its password/)
    expect(problem).not.toContain('letmein-secret')
  })

  it('says that nothing listens, and what to do', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const { port } = server.address() as AddressInfo
    await new Promise((resolve) => server.close(resolve))

    expect(await databaseProblem(`postgresql://me:secret@127.0.0.1:${port}/x`)).toBe(
      `DATABASE_URL: nothing listens at 127.0.0.1:${port}; start the database, correct the address, or leave it out for the embedded one`,
    )
  })

  it('takes a per cent sign for itself where it stands for nothing else', async () => {
    expect(await databaseProblem('postgresql://me:letmein@127.0.0.1:1/x%zz')).toMatch(
      /^DATABASE_URL: nothing listens at 127.0.0.1:1;/,
    )
  })

  it('says which file of the URL is missing', async () => {
    expect(await databaseProblem('postgresql://127.0.0.1:1/x?sslrootcert=/nowhere/ca')).toBe(
      "DATABASE_URL: cannot be used (ENOENT: no such file or directory, open '/nowhere/ca'); correct it",
    )
  })

  it('says that a host is not known', async () => {
    expect(await databaseProblem('postgresql://me@no-such-host.invalid/x')).toContain(
      'the host no-such-host.invalid is not known',
    )
  })

  it('says that a pooler keeps a time zone in which instants would be wrong', async () => {
    expect(await behindPooler()).toMatchObject({ problem: null })
    // A zone whose offset on the first of January is zero, and which is not UTC.
    expect((await behindPooler({ timeZone: 'Europe/London' })).problem).toMatch(
      /in the time zone Europe\/London.* alter role \w+ set timezone = 'UTC'/,
    )
  })

  it('says which parameters a pooler has to let pass', async () => {
    expect((await behindPooler({ refused: ['statement_timeout'] })).problem).toContain(
      'unsupported startup parameter: statement_timeout); in PgBouncer set ignore_startup_parameters',
    )
  })

  it('says that a pooler keeps a date style in which days would be wrong', async () => {
    const { problem } = await behindPooler({ settings: { datestyle: 'SQL, DMY' } })
    expect(problem).toMatch(/date style SQL, DMY.* alter role \w+ set datestyle = 'ISO, MDY'/)
  })
})

describe('examineDatabase', () => {
  const GOOD = { jit: 'off', idle_in_transaction_session_timeout: '20000' }

  it('finds nothing to mend on a direct connection', async () => {
    const database = await createTestDatabase({ migrated: false })
    try {
      expect(await examineDatabase(database.url)).toEqual({ problem: null, remedies: [] })
      const url = `${database.url}?options=-c%20jit%3Don`
      expect(await examineDatabase(url)).toEqual({ problem: null, remedies: [] })
    } finally {
      await database.drop()
    }
  })

  it('finds nothing to mend behind a pooler whose role is set as it should', async () => {
    expect(await behindPooler({ settings: GOOD })).toEqual({ problem: null, remedies: [] })
  })

  it.each([
    ['jit', 'on', 'off'],
    ['lock_timeout', '50', '0'],
    ['idle_in_transaction_session_timeout', '0', '60000'],
    ['IntervalStyle', 'iso_8601', 'postgres'],
    ['bytea_output', 'escape', 'hex'],
    ['extra_float_digits', '0', '1'],
    ['standard_conforming_strings', 'off', 'on'],
    ['array_nulls', 'off', 'on'],
    ['default_transaction_isolation', 'serializable', 'read committed'],
    ['idle_session_timeout', '90000', '0'],
  ])('tells how to mend %s = %s behind a pooler', async (name, value, wanted) => {
    const { problem, remedies } = await behindPooler({ settings: { ...GOOD, [name]: value } })
    expect(problem).toBeNull()
    expect(remedies).toEqual([
      expect.stringMatching(new RegExp(`^alter role \\w+ set ${name} = '${wanted}'$`)),
    ])
  })
})
