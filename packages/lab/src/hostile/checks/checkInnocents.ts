import { sampleOf } from '../../checks.ts'
import { INNOCENTS, innocentLong, LONG_STEPS } from '../hostileJobs.ts'
import type { Check, RunRow } from './checkHostile.ts'

/** Ends that cost the work none of its attempts. */
export const FREE_CODES: ReadonlySet<string> = new Set(['worker_lost', 'drained', 'expired'])

export const checkInnocents: Check = async ({ database, attemptsByWork, enqueued }) => {
  const { rows } = await database.query<{ runId: string; workId: string; steps: number }>(`
    select "runId", "workId", count(*)::int as steps from "HostileEffect" group by 1, 2`)
  const effectsOf = new Map(rows.map((row) => [row.runId, row.steps]))
  const innocent = [...attemptsByWork].filter(([, [first]]) =>
    INNOCENTS.includes(first?.name ?? ''),
  )
  const byWork = new Map(innocent)
  const problems: string[] = []
  for (const [workId, { name }] of enqueued) {
    if (INNOCENTS.includes(name) && !byWork.has(workId)) problems.push(`${name} never started`)
  }
  let failed = 0
  let runs = 0
  for (const attempts of byWork.values()) {
    const name = attempts[0]?.name ?? ''
    const successes = attempts.filter(({ status }) => status === 'success').length
    const done = attempts.reduce((sum, { id }) => sum + (effectsOf.get(id) ?? 0), 0)
    runs += attempts.length
    const isCounted = attempts.every(({ id, effects }) => effects === (effectsOf.get(id) ?? 0))
    failed += attempts.filter(
      ({ status, errorCode }) => status === 'failed' && !FREE_CODES.has(errorCode ?? ''),
    ).length
    if (successes !== 1) problems.push(`${name} succeeded ${successes} times: ${codesOf(attempts)}`)
    else if (done !== (name === innocentLong.name ? LONG_STEPS : 1))
      problems.push(`${name} left ${done} rows`)
    else if (!isCounted) problems.push(`${name} counted wrongly`)
  }
  return {
    guarantee: 'G3, G6, G9',
    name: 'each piece of innocent work succeeded once, with exact effects and counts',
    isPassed: problems.length === 0,
    figures: `${byWork.size} pieces of work, ${runs} runs, ${failed} of them failed; ${problems.length} wrong${sampleOf(problems)}`,
  }
}

/** Says how many there are of each. */
export function countBy<Value>(values: readonly Value[], of: (value: Value) => string): string {
  const by = Map.groupBy(values, of)
  return [...by].map(([what, ones]) => `${ones.length} × ${what}`).join(', ') || 'none'
}

function codesOf(runs: readonly RunRow[]): string {
  return runs.map(({ status, errorCode }) => errorCode ?? status).join(', ')
}
