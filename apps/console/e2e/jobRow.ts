import type { Locator, Page } from '@roundsman/testing'

/** The row of a job in the list of jobs. */
export function jobRow(page: Page, name: string): Locator {
  return page
    .getByRole('table', { name: 'Jobs' })
    .getByRole('row')
    .filter({ has: page.getByRole('link', { name, exact: true }) })
}
