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
/** Of axe's rules, those that look at colours. */
const OF_COLOURS = ['color-contrast', 'link-in-text-block']
/**
 * What all other rules depend on: what the page is made of, which of it is to be seen, and how wide it is. Not
 * how long ago something was.
 */
const SHAPE = `[
  document.documentElement.cloneNode().outerHTML,
  document.title,
  document.body.outerHTML,
  document.body.innerText,
  innerWidth,
].join().replaceAll(/\\b\\d+ (s|min)\\b/g, 'a while')`
/** Rules whose finds are never grave: a rule's impact is that of all it finds. */
const HARMLESS = `Object.fromEntries(
  axe._audit.rules
    .filter(({ impact }) => !${JSON.stringify(GRAVE)}.includes(impact))
    .map(({ id }) => [id, { enabled: false }]),
)`

/**
 * What axe finds on the page as it is, as far as it keeps people out: nothing, that is. Where nothing but its colours
 * can have changed since it was last looked at, only they are looked at.
 */
export async function findBarriers(page: Page): Promise<string[]> {
  // The page's policy lets no script in; the debugger may.
  if (!(await page.evaluate<boolean>(`'axe' in globalThis`))) await page.evaluate(axe.source)
  const { violations } = await page.evaluate<AxeResult>(`(() => {
    const shape = ${SHAPE}
    const rules = shape === globalThis.shapeLookedAt ? { runOnly: ${JSON.stringify(OF_COLOURS)} } : { rules: ${HARMLESS} }
    globalThis.shapeLookedAt = shape
    return axe.run(document, { resultTypes: ['violations'], ...rules })
  })()`)
  return violations
    .filter(({ impact }) => impact !== null && GRAVE.includes(impact))
    .flatMap(({ id, nodes }) =>
      nodes.map((node) => `${id} at ${node.target.join(' ')}: ${node.failureSummary ?? ''}`),
    )
}
