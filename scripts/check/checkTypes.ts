import { checkReferences } from './checkReferences.ts'
import { listFiles } from './listFiles.ts'
import { runTool } from './runTool.ts'

/** What the projects include, in the words of their tsconfig files. */
const TYPED =
  /^(packages|apps)\/[^/]+\/(src|test|e2e)\/|^scripts\/|^(apps\/[^/]+\/)?[^/]+\.config\.ts$/

/**
 * Compiles the packages as the build does, and checks tests and scripts against the packages' sources. Also
 * whether the projects are complete: what no project includes has no type errors.
 */
export async function checkTypes(root: string): Promise<readonly string[]> {
  const [files, references, compiled] = await Promise.all([
    listFiles(root),
    checkReferences(root),
    runTool(root, 'tsc', ['-b', '--pretty', 'false']),
  ])
  const untyped = files.filter((path) => /\.[cm]?tsx?$/.test(path) && !TYPED.test(path))
  return [...references, ...untyped.map((path) => `${path}: no tsconfig includes it`), ...compiled]
}
