import { listFiles } from './listFiles.ts'
import { captureTool } from './runTool.ts'

const CODE = /\.[cm]?[jt]sx?$/
/** Stands for foreign code, in another style. The test that uses it compiles it. */
const FOREIGN = 'scripts/hosts/products/'

/**
 * Runs oxlint with type information. Warnings fail, and so do comments that silence nothing. It also checks which files
 * oxlint saw: one that sees nothing finds nothing, and one that reads node_modules does not end.
 */
export async function checkLint(root: string): Promise<readonly string[]> {
  const [files, listed] = await Promise.all([
    listFiles(root),
    captureTool(root, 'oxlint', ['--debug=files']),
  ])
  const seen = new Set(listed.output.split('\n').filter((path) => CODE.test(path)))
  const code = files.filter((path) => CODE.test(path) && !path.startsWith(FOREIGN))
  const missed = code.filter((path) => !seen.has(path))
  const foreign = [...seen].filter((path) => path.includes('node_modules/') || !code.includes(path))
  if (seen.size === 0) return [`oxlint saw no file:\n${listed.output}`]
  if (foreign.length > 0) return [`Linted, but not ours: ${summarize(foreign)}`]
  if (missed.length > 0) return [`Ours, but not linted: ${summarize(missed)}`]

  const { exitCode, output } = await captureTool(root, 'oxlint', [
    '--type-aware',
    '--deny-warnings',
    '--report-unused-disable-directives-severity=error',
    '--format=unix',
  ])
  return exitCode === 0 ? [] : [output || `oxlint ended with ${exitCode} and wrote nothing`]
}

function summarize(paths: readonly string[]): string {
  const more = paths.length > 10 ? ` and ${paths.length - 10} more` : ''
  return paths.slice(0, 10).join(', ') + more
}
