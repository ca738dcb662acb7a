import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { listFiles } from './listFiles.ts'
import { listWorkspaces, type Workspace } from './listWorkspaces.ts'

/** What checks of imports need to know of a tree. */
export interface Code {
  /** The text of each file of code, by path, in the order of the paths. */
  files: ReadonlyMap<string, string>
  workspaces: readonly Workspace[]
}

/** Reads all files of code and all packages of a tree. */
export async function readCode(root: string): Promise<Code> {
  const [paths, workspaces] = await Promise.all([listFiles(root), listWorkspaces(root)])
  const files = await Promise.all(
    paths
      .filter((path) => /\.[cm]?[jt]sx?$/.test(path))
      .map(async (path) => [path, await readFile(join(root, path), 'utf8')] as const),
  )
  return { files: new Map(files), workspaces }
}
