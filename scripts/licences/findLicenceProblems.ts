import type { InstalledPackage } from './listInstalled.ts'

/** Licences that only ask to keep their text, and those of fonts, which forbid selling the font alone. */
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
 * Licences allowed in addition for what only builds, tests or measures: they ask to publish or name changes of their
 * own files, and we neither change nor pass on such a package.
 */
export const ALLOWED_FOR_DEVELOPMENT: ReadonlySet<string> = new Set([
  'EPL-2.0',
  'MPL-2.0',
  'Python-2.0',
])

/** Packages whose manifest does not name the licence, or only in part, with what their files say. */
const KNOWN: Readonly<Record<string, string>> = {
  'seq-queue': 'MIT',
}

/** A sentence for each package whose licence is not allowed where we use it. */
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

/** The licence of a package; undefined when neither its manifest nor KNOWN names one. */
export function licenceOf({ name, licence }: InstalledPackage): string | undefined {
  return KNOWN[name] ?? licence
}

/** Judges an expression of SPDX: of licences joined by OR one must be allowed, of those joined by AND all. */
function isAllowed(expression: string, isProduction: boolean): boolean {
  const flat = expression.replaceAll(/[()]/g, ' ').trim()
  return flat.split(/\s+OR\s+/i).some((choice) =>
    choice.split(/\s+AND\s+/i).every((part) => {
      const licence = part.trim()
      return ALLOWED.has(licence) || (!isProduction && ALLOWED_FOR_DEVELOPMENT.has(licence))
    }),
  )
}
