import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The version of the package whose `src` or `dist` is at `folder`. */
export function readVersion(folder: string): string {
  const { version } = JSON.parse(readFileSync(join(folder, '../package.json'), 'utf8')) as {
    version: string
  }
  return version
}
