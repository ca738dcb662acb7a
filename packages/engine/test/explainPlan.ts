import type { TestRuntime } from './openTestRuntime.ts'

/** A node of a plan that was carried out. */
export interface PlanNode {
  'Node Type': string
  'Relation Name'?: string
  'Index Name'?: string
  'Actual Rows': number
  'Actual Loops': number
  'Shared Hit Blocks': number
  'Shared Read Blocks': number
  'Rows Removed by Filter'?: number
  Plans?: PlanNode[]
}

/** Has PostgreSQL carry out a statement, and returns the nodes of its plan, each before those that it reads. */
export async function explainPlan(
  { rows }: Pick<TestRuntime, 'rows'>,
  text: string,
  values: readonly unknown[] = [],
): Promise<PlanNode[]> {
  const [row] = await rows<{ 'QUERY PLAN': [{ Plan: PlanNode }] }>(
    `explain (analyze, buffers, format json) ${text}`,
    [...values],
  )
  const listNodes = (node: PlanNode): PlanNode[] => [node, ...(node.Plans ?? []).flatMap(listNodes)]
  return row === undefined ? [] : listNodes(row['QUERY PLAN'][0].Plan)
}
