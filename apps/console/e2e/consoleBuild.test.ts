// Not quick: starts processes.
import { buildConsole } from '@roundsman/testing'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { beforeAll, describe, expect, it } from 'vitest'

/** What a first visit may cost, compressed. */
const FIRST_LOAD_BYTES = 200_000

let folder: string

beforeAll(async () => {
  folder = await buildConsole()
})

describe('the build of the console', () => {
  it('is small enough for a first visit, with every script there is', async () => {
    // All code counts: that of the other screens is fetched shortly after the first screen.
    const files = await readdir(folder, { recursive: true })
    const scripts = files.filter((file) => file.endsWith('.js'))
    expect(scripts.length).toBeGreaterThan(1)
    let bytes = 0
    for (const script of scripts) bytes += gzipSync(await readFile(join(folder, script))).length
    expect(bytes).toBeLessThan(FIRST_LOAD_BYTES)
    // A build that lost its code would be small, too.
    expect(bytes).toBeGreaterThan(FIRST_LOAD_BYTES / 4)
  })

  it('has no script and no style within its page, which the policy would refuse', async () => {
    const page = await readFile(join(folder, 'index.html'), 'utf8')
    expect(page).not.toMatch(/<style|\sstyle=|\son\w+=/)
    expect(page).not.toMatch(/<script(?![^>]*\ssrc=)/)
    expect(page).not.toContain('data:')
  })
})
