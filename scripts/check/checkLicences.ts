import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { findLicenceProblems } from '../licences/findLicenceProblems.ts'
import { listInstalled } from '../licences/listInstalled.ts'
import { renderLicences } from '../licences/renderLicences.ts'

const REPORT = 'reports/licences.md'

/** Reports installed packages that may not be used where we use them, and a report of them that is out of date. */
export async function checkLicences(root: string): Promise<readonly string[]> {
  const packages = await listInstalled(root)
  if (packages.length === 0) return ['There is nothing installed: pnpm install']
  const report = await readFile(join(root, REPORT), 'utf8').catch(() => '')
  const isCurrent = report.startsWith(renderLicences(packages))
  return [
    ...findLicenceProblems(packages),
    ...(isCurrent
      ? []
      : [
          `${REPORT}: is of other packages than are installed; write it anew with pnpm audit:licences`,
        ]),
  ]
}
