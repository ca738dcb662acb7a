import type { PrismaClient } from '@roundsman/db'
import type { Transaction } from '../jobs/handler.ts'
import {
  findQuery,
  queryRows,
  sql,
  type DueFinder,
  type Sql,
  type SweptRows,
} from '@roundsman/sweep'
import type { Finding } from 'roundsman/commands'

/** What a job sweeps, as its handler declares it. */
export interface DeclaredSweep {
  job: string
  rows: readonly SweptRows[]
}

/** A node of a plan by EXPLAIN, as far as it matters here. */
interface PlanNode {
  'Node Type': string
  'Relation Name'?: string
  'Index Name'?: string
  'Index Cond'?: string
  Filter?: string
  Plans?: PlanNode[]
}

/**
 * Reports each sweep for which no index finds the rows. It has the planner plan the clean-up's own search while reading
 * whole tables is unattractive: what it still reads whole has no index, however small the table is today.
 */
export async function checkIndexes(
  prisma: Pick<PrismaClient, '$transaction'>,
  sweeps: readonly DeclaredSweep[],
): Promise<Finding[]> {
  const findings: Finding[] = []
  for (const { job, rows } of sweeps) {
    for (const { table, finders } of rows) {
      for (const finder of finders) {
        const finding = await checkFinder(prisma, job, table, finder)
        if (finding) findings.push(finding)
      }
    }
  }
  return findings
}

/** Checks one search; null when an index finds its rows. */
async function checkFinder(
  prisma: Pick<PrismaClient, '$transaction'>,
  job: string,
  table: string,
  finder: DueFinder,
): Promise<Finding | null> {
  const common = { severity: 'error', job } as const
  let isFound: boolean
  try {
    isFound = await prisma.$transaction(async (tx) =>
      isFoundByIndex(tx, await explain(tx, table, finder), table),
    )
  } catch (error) {
    return {
      ...common,
      code: 'sweep_invalid',
      problem: `PostgreSQL refuses to search "${table}" where ${textOf(finder.where)}: ${(error as Error).message.trim().split('\n').at(-1)}`,
      remedy: 'apply the migrations with pnpm db:migrate, or correct what its handler declares',
    }
  }
  if (isFound) return null
  return {
    ...common,
    code: 'index_missing',
    problem: `no index of "${table}" finds what is due: where ${textOf(finder.where)}, by "${finder.key}"`,
    remedy: `add a migration that creates an index on "${table}" ("${finder.key}"), partial with what does not change in that condition`,
  }
}

async function explain(tx: Transaction, table: string, finder: DueFinder): Promise<PlanNode> {
  await tx.$executeRaw`set local enable_seqscan = off`
  // In an empty table bitmaps of all indexes cost the same. In the order of its key only one index can be read.
  await tx.$executeRaw`set local enable_bitmapscan = off`
  const [row] = await queryRows<{ 'QUERY PLAN': [{ Plan: PlanNode }] }>(
    tx,
    sql`explain (format json) ${findQuery(table, finder, 1_000)}`,
  )
  if (!row) throw new Error('EXPLAIN returned no plan')
  return row['QUERY PLAN'][0].Plan
}

/** Whether each scan of the table enters an index at the rows that are due, or reads an index of nothing else. */
async function isFoundByIndex(tx: Transaction, plan: PlanNode, table: string): Promise<boolean> {
  const scans = flatten(plan).filter((node) => node['Relation Name'] === table)
  for (const scan of scans) {
    if (!/^(Index|Index Only|Bitmap Heap) Scan$/.test(scan['Node Type'])) return false
    if (!(await isEntered(tx, scan)) && !isWhollyDue(scan)) return false
  }
  return scans.length > 0
}

/**
 * Whether a condition is on the index's first column. With one on a later column only, PostgreSQL reads the whole
 * index, or, in newer versions, searches it once for each value of the first.
 */
async function isEntered(tx: Transaction, scan: PlanNode): Promise<boolean> {
  for (const node of flatten(scan)) {
    const { 'Index Name': index, 'Index Cond': condition } = node
    if (index === undefined || condition === undefined) continue
    const [row] = await tx.$queryRaw<{ column: string }[]>`
      select pg_get_indexdef(format('%I', ${index}::text)::regclass, 1, true) as "column"`
    if (row && condition.includes(row.column)) return true
  }
  return false
}

/** Whether a scan reads an index without any condition: a partial index, which holds only what is due. */
function isWhollyDue(scan: PlanNode): boolean {
  return flatten(scan).every(
    (node) => node.Filter === undefined && node['Index Cond'] === undefined,
  )
}

function flatten(node: PlanNode): PlanNode[] {
  return [node, ...(node.Plans ?? []).flatMap(flatten)]
}

/** Writes a condition with its values in it, as a person would. */
function textOf({ strings, values }: Sql): string {
  return strings
    .map((text, nth) => `${text}${nth < values.length ? `'${String(values[nth])}'` : ''}`)
    .join('')
    .trim()
}
