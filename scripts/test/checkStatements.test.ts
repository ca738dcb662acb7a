// Not quick: starts processes.
import { describe, expect, test } from 'vitest'
import { checkStatements, findRaces } from '../check/checkStatements.ts'
import { listStatements } from '../check/listStatements.ts'
import { writeTree } from './writeTree.ts'

describe('a statement that follows rows of one table and reads a second one', () => {
  test.each([
    [
      'by a query for each row that it locks',
      `select work.*, (select long."payload" from "JobPayload" long where long."workId" = work."id")
       from "JobWork" work where work."name" = $1 for update skip locked`,
      ['for update JobWork beside JobPayload'],
    ],
    [
      'by a column without its table, from a query that locks by its own name',
      `with found as (select "id" from "JobWork" for no key update)
       select (select "payload" from "JobPayload" where "workId" = "id") from found`,
      ['for no key update JobWork beside JobPayload'],
    ],
    [
      'in what it puts where it meets a row',
      `insert into "JobUnique" as held ("key", "workId") values ($1, $2) on conflict ("key")
       do update set "workId" = case when exists (select from "JobWork" where "id" = held."workId") then held."workId" else $2 end`,
      ['on conflict do update JobUnique beside JobWork'],
    ],
    [
      'from which it updates',
      `update "JobWork" work set "dueAt" = plan."at" from "JobSchedule" plan where plan."name" = work."name"`,
      ['update JobWork beside JobSchedule'],
    ],
    [
      'by which it deletes',
      `delete from "JobKey" own using "JobRun" run where run."id" = $1 and run."name" = own."name"`,
      ['delete JobKey beside JobRun'],
    ],
    [
      'that it deletes by what it has just changed',
      `with gone as (delete from "JobWork" where "id" = $1 returning "id")
       delete from "JobPayload" where "workId" in (select "id" from gone)`,
      ['delete JobWork beside JobPayload', 'delete JobPayload beside JobWork'],
    ],
    [
      'through a query that the one that locks only asks',
      `with asked as (select exists (select from "JobCancel" where "runId" = $1) as "is")
       select "id" from "JobClaim" where not (select "is" from asked) for key share`,
      ['for key share JobClaim beside JobCancel'],
    ],
  ])('%s', (_how, sql, races) => {
    expect(findRaces(sql).toSorted()).toEqual(races.toSorted())
  })
})

const PLANTED = `
const PAYLOAD = '(select long."payload" from "JobPayload" long where long."workId" = work."id")'
/** Takes work. */
export const TAKE_SQL = \`select work."id", \${PAYLOAD} from "JobWork" work where work."name" = $1 for update skip locked\``
const TEST = `it('takes what was replaced', () => {})`

/** What is reported of a module of the engine, with a test file beside it. */
async function check(source: string): Promise<readonly string[]> {
  const root = await writeTree({
    'packages/engine/package.json': '{}',
    'packages/engine/src/take.ts': source,
    'packages/engine/test/take.test.ts': TEST,
  })
  return await checkStatements(root)
}

describe('the check', { timeout: 60_000 }, () => {
  test('refuses a planted statement, and says how to go on', async () => {
    const where = 'packages/engine/src/take.ts:4: TAKE_SQL '
    expect(await check(PLANTED)).toEqual([
      expect.stringMatching(new RegExp(`^${where}.*for update JobWork beside JobPayload.*Race: `)),
    ])
  })

  test.each([
    ['packages/engine/test/take.test.ts "takes what was replaced"', []],
    ['packages/engine/test/take.test.ts\n * "takes what was replaced"', []],
    [
      'packages/engine/test/gone.test.ts "takes what was replaced"',
      [/gone\.test\.ts, which does not exist/],
    ],
    ['packages/engine/test/take.test.ts "takes nothing"', [/"takes nothing", which is not in/]],
  ])('wants a test that exists: %s', async (race, problems) => {
    const source = PLANTED.replace('Takes work.', `Takes work.\n * Race: ${race}`)
    expect(await check(source)).toEqual(problems.map((one) => expect.stringMatching(one)))
  })

  test('finds statements that a function puts together when it is called', async () => {
    const source = `
      export async function take(tx: { query(sql: string): Promise<void> }, table: string, isBusy: boolean) {
        const locked = \`select "id" from "JobWork" where "id" = $1 for update\`
        const other = \`select "payload" from "\${table}"\`
        await tx.query(isBusy ? locked : \`select (\${other}) from (\${locked} skip locked) work\`)
      }`
    expect(await check(source)).toEqual([
      expect.stringContaining('for update JobWork beside unknown'),
    ])
  })

  test('refuses a piece of SQL that it finds in no statement', async () => {
    const source = `export const isFree = (id: string) => \`not exists (select from "JobClaim" where "id" = \${id})\``
    expect(await check(source)).toEqual([
      expect.stringContaining('take.ts:1: looks like SQL, and is neither a statement nor a part'),
    ])
    expect(
      await check(
        `${source}\nexport const SQL = \`select * from "JobWork" where \${isFree('$1')}\``,
      ),
    ).toEqual([])
  })
})

test(
  'all statements of the engine are known, with the names of the schema',
  { timeout: 60_000 },
  async () => {
    const { statements, problems } = await listStatements(`${import.meta.dirname}/../..`)
    expect(problems).toEqual([])
    const claims = statements.filter(({ name }) => name === 'claimSql')
    expect(claims.length).toBeGreaterThan(1)
    expect(claims.map(({ text }) => text)).toEqual(
      claims.map(() => expect.stringContaining('delete from "roundsman"."JobWork" work')),
    )
  },
)
