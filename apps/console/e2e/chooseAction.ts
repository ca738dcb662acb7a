import type { Page } from '@roundsman/testing'

/** Chooses an action in the menu of a job, a schedule or a piece of work. */
export async function chooseAction(page: Page, name: string, action: string): Promise<void> {
  const label = `Actions for ${name}`
  await page.getByRole('button', { name: label }).click()
  await page
    .getByRole('menu', { name: label })
    .getByRole('menuitem', { name: action, exact: true })
    .click()
}
