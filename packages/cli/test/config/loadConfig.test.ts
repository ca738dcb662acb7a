import { chown } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { loadConfig } from '../../src/config/loadConfig.ts'
import { writeProduct } from '../init/product.ts'

const home = process.cwd()
afterEach(() => process.chdir(home))

const CONFIG = 'roundsman.config.js'
const FILES = { [CONFIG]: 'export default { jobs: [] }\n', 'packages/api/src/index.js': '' }

describe('the configuration is found', () => {
  it.each(['.git/HEAD', 'package.json'])('above, up to the folder with %s', async (end) => {
    const root = await writeProduct({ ...FILES, [end]: '{}' })
    const found = await loadConfig(join(root, 'packages/api/src'))
    expect(found?.path).toBe(join(root, CONFIG))
  })

  it('at the root of a repository from one of its packages', async () => {
    const root = await writeProduct({
      ...FILES,
      '.git/HEAD': '',
      'packages/api/package.json': '{}',
    })
    expect((await loadConfig(join(root, 'packages/api/src')))?.path).toBe(join(root, CONFIG))
  })

  it('in the folder itself, which may be no package', async () => {
    const root = await writeProduct(FILES)
    expect((await loadConfig(root))?.path).toBe(join(root, CONFIG))
  })
})

describe('the configuration is not looked for, and not executed', () => {
  it.each(['packages/.git/HEAD', 'packages/package.json'])('above %s', async (end) => {
    const root = await writeProduct({ ...FILES, [end]: '{}' })
    expect(await loadConfig(join(root, 'packages/api/src'))).toBeNull()
  })

  it('above the folder where there is neither a repository nor a package', async () => {
    const root = await writeProduct(FILES)
    expect(await loadConfig(join(root, 'packages'))).toBeNull()
  })

  it.skipIf(process.getuid?.() !== 0)('in a folder above of another owner', async () => {
    const root = await writeProduct({ ...FILES, '.git/HEAD': '' })
    await chown(root, 12_345, 12_345)
    expect(await loadConfig(join(root, 'packages'))).toBeNull()
  })
})
