// Not quick: starts processes.
import { buildConsole } from '@roundsman/testing'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { beforeAll, describe, expect, it } from 'vitest'

/** What the first screen may cost, compressed, and all screens, which are fetched shortly after it. */
const FIRST_BYTES = 160_000
const ALL_BYTES = 220_000

let folder: string

beforeAll(async () => {
  folder = await buildConsole()
})

describe('the build of the console', () => {
  it('is small enough for a first visit, and with every script there is', async () => {
    const assets = join(folder, 'assets')
    const scripts = (await readdir(assets)).filter((file) => file.endsWith('.js'))
    const measure = async (files: Iterable<string>) => {
      let bytes = 0
      for (const file of files) bytes += gzipSync(await readFile(join(assets, file))).length
      return bytes
    }
    const first = new Set<string>()
    const load = async (file: string): Promise<void> => {
      if (first.has(file)) return
      first.add(file)
      const code = await readFile(join(assets, file), 'utf8')
      for (const [, name = ''] of code.matchAll(/(?:from|import)\s*["'`]\.\/([\w-]+\.js)["'`]/g))
        await load(name)
    }
    const page = await readFile(join(folder, 'index.html'), 'utf8')
    await load(/assets\/([\w-]+\.js)/.exec(page)?.[1] ?? '')
    await load(scripts.find((file) => file.startsWith('OverviewScreen-')) ?? '')
    expect(first.size).toBeGreaterThan(2)
    expect(await measure(first)).toBeLessThan(FIRST_BYTES)
    expect(await measure(scripts)).toBeLessThan(ALL_BYTES)
    // A build that lost its code would be small, too.
    expect(await measure(first)).toBeGreaterThan(FIRST_BYTES / 2)
  })

  it('has no script and no style within its page, which the policy would refuse', async () => {
    const page = await readFile(join(folder, 'index.html'), 'utf8')
    expect(page).not.toMatch(/<style|\sstyle=|\son\w+=/)
    expect(page).not.toMatch(/<script(?![^>]*\ssrc=)/)
    expect(page).not.toContain('data:')
  })
})
