import { chmod, lstat, mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Creates a folder for programs and clusters outside of the project, which everybody may enter. It accepts an existing one
 * only if nobody else can write to it: below /tmp anybody could have put it there.
 */
export async function ensureOwnFolder(folder: string): Promise<void> {
  const parent = dirname(folder)
  if (parent.endsWith('/roundsman')) await ensureOwnFolder(parent)
  try {
    await mkdir(folder, { mode: 0o755 })
    // The umask takes bits out of mkdir's mode.
    await chmod(folder, 0o755)
    return
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  if (process.getuid === undefined) return
  const found = await lstat(folder)
  if (!found.isDirectory() || found.uid !== process.getuid() || (found.mode & 0o022) !== 0) {
    throw new Error(`${folder} exists already and others can write to it`)
  }
}
