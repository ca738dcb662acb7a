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
/** Those of axe's rules that look at colours. */
const OF_COLOURS = ['color-contrast', 'link-in-text-block']
/**
 * A text of all that the other rules depend on: the page's elements, which of them show, and its width, but not how
 * long ago something was.
 */
const SHAPE = `[
  document.documentElement.cloneNode().outerHTML,
  document.title,
  document.body.outerHTML,
  document.body.innerText,
  innerWidth,
].join().replaceAll(/\\b\\d+ (s|min)\\b/g, 'a while')`
/** Rules that never find anything grave: a rule's impact is the same for all its findings. */
const HARMLESS = `Object.fromEntries(
  axe._audit.rules
    .filter(({ impact }) => !${JSON.stringify(GRAVE)}.includes(impact))
    .map(({ id }) => [id, { enabled: false }]),
)`

/**
 * Returns what axe finds on the page that keeps people out. If only colours can have changed since it last looked, it
 * checks only them.
 */
export async function findBarriers(page: Page): Promise<string[]> {
  // What was asked for before is dim until the answer has come.
  await page.locator('.isDim').first().waitFor({ state: 'detached' })
  // The page's policy refuses scripts; the debugger does not.
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
