import type { Page } from '@roundsman/testing'

/** From the menu that a job has in the list. */
export async function chooseAction(page: Page, name: string, action: string): Promise<void> {
  const label = `Actions for ${name}`
  await page.getByRole('button', { name: label }).click()
  await page
    .getByRole('menu', { name: label })
    .getByRole('menuitem', { name: action, exact: true })
    .click()
}
