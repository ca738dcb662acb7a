import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

/** The commit, with a plus sign when the work tree differs from it, apart from reports. Null outside of a repository. */
export async function readCommit(folder: string): Promise<string | null> {
  const git = async (...args: string[]) =>
    (await promisify(execFile)('git', args, { cwd: folder })).stdout.trim()
  try {
    const [commit, changes] = await Promise.all([
      git('rev-parse', '--short=10', 'HEAD'),
      git('status', '--porcelain', '--', '.', ':!reports'),
    ])
    return changes === '' ? commit : `${commit}+`
  } catch {
    return null
  }
}

/** What every report says of it. */
export function tellCommit(commit: string | null): string {
  return commit === null ? 'commit unknown' : `commit ${commit}`
}
