import type { InstalledPackage } from './listInstalled.ts'

/** Ask for no more than to keep their text, and that of the fonts, not to sell the fonts alone. */
export const ALLOWED: ReadonlySet<string> = new Set([
  '0BSD',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'CC0-1.0',
  'ISC',
  'MIT',
  'MIT-0',
  'OFL-1.1',
  'PostgreSQL',
  'Unlicense',
])

/**
 * For what only builds, tests or measures the product as well: they ask that changes to their own files be
 * published, or told of, and such a package is neither changed nor handed on.
 */
export const ALLOWED_FOR_DEVELOPMENT: ReadonlySet<string> = new Set([
  'EPL-2.0',
  'MPL-2.0',
  'Python-2.0',
])

/** Packages that do not say it in their manifest, or not all of it, and what was read in their files. */
const KNOWN: Readonly<Record<string, string>> = {
  'seq-queue': 'MIT',
}

/** One sentence for each package whose licence is not allowed where it is used. */
export function findLicenceProblems(packages: readonly InstalledPackage[]): string[] {
  return packages.flatMap((one) => {
    const { name, version, isProduction } = one
    const licence = licenceOf(one)
    const where = isProduction ? 'the product' : 'development'
    if (licence === undefined) {
      return [
        `${name}@${version} (${where}) does not say its licence: read it in its files, and enter it in findLicenceProblems.ts`,
      ]
    }
    if (isAllowed(licence, isProduction)) return []
    return [
      `${name}@${version} (${where}) has the licence ${licence}, which is not allowed there: take another package, or decide in findLicenceProblems.ts`,
    ]
  })
}

export function licenceOf({ name, licence }: InstalledPackage): string | undefined {
  return KNOWN[name] ?? licence
}

/** An expression of SPDX: of several joined by OR one is enough, of those joined by AND each has to be allowed. */
function isAllowed(expression: string, isProduction: boolean): boolean {
  const flat = expression.replaceAll(/[()]/g, ' ').trim()
  return flat.split(/\s+OR\s+/i).some((choice) =>
    choice.split(/\s+AND\s+/i).every((part) => {
      const licence = part.trim()
      return ALLOWED.has(licence) || (!isProduction && ALLOWED_FOR_DEVELOPMENT.has(licence))
    }),
  )
}
