import type { Page } from '@roundsman/testing'
import axe from 'axe-core'

interface AxeResult {
  violations: {
    id: string
    impact: string | null
    help: string
    nodes: { target: unknown[]; failureSummary?: string }[]
  }[]
}

const GRAVE = ['serious', 'critical']

/** What axe finds on the page as it is, as far as it keeps people out: nothing, that is. */
export async function findBarriers(page: Page): Promise<string[]> {
  // The page's policy lets no script in; the debugger may.
  if (!(await page.evaluate<boolean>(`'axe' in globalThis`))) await page.evaluate(axe.source)
  const { violations } = await page.evaluate<AxeResult>(
    `axe.run(document, { resultTypes: ['violations'] })`,
  )
  return violations
    .filter(({ impact }) => impact !== null && GRAVE.includes(impact))
    .flatMap(({ id, nodes }) =>
      nodes.map((node) => `${id} at ${node.target.join(' ')}: ${node.failureSummary ?? ''}`),
    )
}
