import { readFile } from 'node:fs/promises'
import { expect, it, onTestFinished, vi } from 'vitest'

function pretendNode(versions: object): void {
  const was = Object.getOwnPropertyDescriptor(process, 'versions') as PropertyDescriptor
  onTestFinished(() => void Object.defineProperty(process, 'versions', was))
  Object.defineProperty(process, 'versions', {
    ...was,
    value: { ...process.versions, ...versions },
  })
  vi.resetModules()
}

const ENTRIES = {
  worker: () => import('../src/worker.ts'),
  client: () => import('../src/client.ts'),
  migrate: () => import('../src/migrate.ts'),
  testing: () => import('../src/testing.ts'),
}

it.each(Object.entries(ENTRIES))(
  '%s names the Node that it needs when an older one imports it',
  async (_name, load) => {
    const manifest = await readFile(new URL('../package.json', import.meta.url), 'utf8')
    const { engines } = JSON.parse(manifest) as { engines: { node: string } }
    const needed = engines.node.replace('>=', '')
    pretendNode({ node: '20.20.2' })
    await expect(load()).rejects.toThrow(
      `Roundsman needs Node ${needed} or newer, and this is 20.20.2`,
    )
  },
)

it.each([{ node: '22.12.0' }, { node: '100.0.0' }, { node: '20.11.1', deno: '2.0.0' }])(
  'loads where the Node is new enough, or no Node: %j',
  async (versions) => {
    pretendNode(versions)
    await expect(ENTRIES.migrate()).resolves.toHaveProperty('migrate')
  },
)
