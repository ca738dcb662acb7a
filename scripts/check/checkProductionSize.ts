import { listProductionFiles, type ProductionPackage } from '../production/listProductionFiles.ts'

/**
 * A little above the present size, so that another PostgreSQL or Prisma's compilers are noticed. Checks of ours fail by it;
 * a deployment is only told its size.
 */
export const LIMIT_MB = 200

/**
 * Reports when the packages of API and worker have grown beyond the limit. Builds and our own sources, a few megabytes,
 * do not count.
 */
export async function checkProductionSize(
  root: string,
  limitMb = LIMIT_MB,
): Promise<readonly string[]> {
  const packages = await listProductionFiles(root)
  if (packages.length === 0) return ['There is nothing installed: pnpm install']
  const bytes = packages.reduce((sum, { neededBytes }) => sum + neededBytes, 0)
  if (bytes <= limitMb * 1e6) return []
  return [
    `API and worker run with ${toMegabytes(bytes)} of packages, more than ${limitMb} MB. Depend on what is for development only ` +
      'in devDependencies, list in scripts/production/listProductionFiles.ts which files of a large package are needed, or raise ' +
      `LIMIT_MB in scripts/check/checkProductionSize.ts. The largest:\n${describeLargest(packages)}`,
  ]
}

/** Lists the ten largest packages for people, one a line; they come sorted. */
export function describeLargest(packages: readonly ProductionPackage[]): string {
  const lines = packages
    .slice(0, 10)
    .map(({ name, neededBytes }) => `${toMegabytes(neededBytes).padStart(8)}  ${name}`)
  return lines.join('\n')
}

function toMegabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`
}
