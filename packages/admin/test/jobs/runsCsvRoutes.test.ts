import { emptyTables, expectInvalid, openForTests } from '@roundsman/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { openTestAdmin } from '../openTestAdmin.ts'

const api = openForTests(openTestAdmin)

beforeEach(() => emptyTables(api.prisma, '"JobRun", "JobClaim"'))

const get = (query = '') => api.as('admin', { method: 'GET', url: `/api/jobs/runs.csv${query}` })

/** What begins a formula in a spreadsheet, by OWASP's page on CSV injection: also in full width. */
const FORMULAS = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']
/** What begins another cell for one reader or another, or ends the one before. */
const SEPARATORS = ['', ',', ';', '\t', '|', '\r\n', '\n', '\r', '"', '";', '","']

/** Reads CSV as spreadsheets do: quotation marks count at the beginning of a cell, and any line break ends a row. */
function readCsv(text: string, separator: string): string[][] {
  const cell = new RegExp(
    `(?:"((?:[^"]|"")*)")?([^\\r\\n${separator}]*)(\\r\\n|[\\r\\n${separator}])`,
    'g',
  )
  const rows: string[][] = [[]]
  for (const [, quoted = '', bare = '', end] of text.matchAll(cell)) {
    rows.at(-1)?.push(quoted.replaceAll('""', '"') + bare)
    if (end !== separator) rows.push([])
  }
  return rows.slice(0, -1)
}

describe('GET /api/jobs/runs.csv', () => {
  it('is a table with a heading, newest first, of what is filtered', async () => {
    await api.prisma.jobRun.createMany({
      data: [
        {
          name: 'a',
          trigger: 'schedule',
          status: 'success',
          workerId: 'w1',
          startedAt: new Date('2026-11-24T01:00:00Z'),
          endedAt: new Date('2026-11-24T01:00:01.500Z'),
          details: { cleaned: 3, note: 'x, "y"' },
        },
        { name: 'a', trigger: 'cli', workerId: 'w1', startedAt: new Date('2026-11-24T02:00:00Z') },
        { name: 'b', trigger: 'cli', workerId: 'w1' },
      ],
    })
    const response = await get('?name=a')
    expect(response.statusCode).toBe(200)
    expect(response.headers['content-type']).toBe('text/csv; charset=utf-8')
    const [heading, running, ended, rest] = response.body.split('\r\n')
    expect(heading).toMatch(/^id,name,status,trigger,/)
    expect(running).toMatch(/^[0-9a-f-]{36},a,running,cli,1,,2026-11-24T02:00:00.000Z,,,false,/)
    expect(ended).toContain(',2026-11-24T01:00:01.500Z,1500,false,')
    expect(ended).toMatch(/"\{""note"":""x, \\""y\\"""",""cleaned"":3\}",,success,,$/)
    expect(rest).toBe('')
  })

  it.each([',', ';', '\t', '|'])(
    'has no cell that a spreadsheet calculates, whose cells %j separates, whatever people write',
    async (separator) => {
      const reasons = SEPARATORS.flatMap((before) =>
        FORMULAS.flatMap((formula) => [`${before}${formula}1+1`, `x${before}${formula}1+1`]),
      )
      await api.prisma.$executeRaw`
        insert into "JobRun" ("id", "name", "trigger", "workerId", "reason", "label", "details")
        select gen_random_uuid(), 'a', 'manual', 'w1', said, said, jsonb_build_object('note', said)
        from unnest(${reasons}::text[]) said`
      const rows = readCsv((await get()).body, separator)
      expect(rows.length).toBeGreaterThan(reasons.length)
      expect(rows.flat().filter((cell) => FORMULAS.some((one) => cell.startsWith(one)))).toEqual([])
    },
  )

  it('is read back as it was, but for the apostrophe before a formula', async () => {
    const reasons = [
      'x, "y"',
      'a;b|c\td',
      'two\r\nlines',
      '"',
      "'",
      '=1+1',
      'x;=1+1',
      'x\n\ty',
      '-1',
    ]
    await api.prisma.jobRun.createMany({
      data: reasons.map((reason) => ({ name: 'a', trigger: 'manual', workerId: 'w1', reason })),
    })
    const [heading = [], ...rows] = readCsv((await get()).body, ',')
    const read = rows.map((row) => row[heading.indexOf('reason')])
    expect(new Set(read)).toEqual(
      new Set(reasons.map((reason) => reason.replace(/(^|;|\n)(?=[=\t-])/, "$1'"))),
    )
  })

  it('goes on over many pages', async () => {
    await api.prisma.$executeRaw`
      insert into "JobRun" ("id", "name", "trigger", "workerId", "startedAt")
      select gen_random_uuid(), 'many', 'queue', 'w1', now() - n * interval '1 s' from generate_series(1, 2500) n`
    const lines = (await get()).body.trimEnd().split('\r\n')
    expect(lines).toHaveLength(2_501)
    expect(new Set(lines).size).toBe(2_501)
  })

  it('refuses what the list refuses', async () => {
    expectInvalid(await get('?status=gone'), ['query.status'])
    expectInvalid(await get('?from=2026-11-24T00:00:00Z&to=2026-11-23T00:00:00Z'), ['query.to'])
  })
})
