// Processes: runs and kills a bench.
import { readFile, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { makeServerFolder, spawnProcess } from '@roundsman/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

const MAIN = new URL('../../src/bench/main.ts', import.meta.url).pathname

let folder: string

beforeEach(async () => {
  folder = await makeServerFolder('roundsman-bench-test-')
})

afterEach(() => rm(folder, { recursive: true }))

/** TMPDIR makes it write into a folder of this test. */
const bench = (...args: string[]) =>
  spawnProcess(MAIN, {
    args: [...args, '--scale', 'small', '--out', join(folder, 'out')],
    env: { TMPDIR: folder },
  })

async function findPostmaster(): Promise<number> {
  const server = (await readdir(folder)).find((name) => name.startsWith('roundsman-bench-'))
  const pidFile = join(folder, server ?? '', 'postgres/data/postmaster.pid')
  return Number((await readFile(pidFile, 'utf8')).split('\n')[0])
}

/** A zombie, about which its parent has not asked yet, has ended. */
async function isRunning(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ') Z')
  return !stat.slice(stat.lastIndexOf(')') + 2).startsWith('Z')
}

describe('pnpm bench', () => {
  it('measures a scenario, writes report and figures, and leaves nothing else behind', async () => {
    const run = bench('throughput')
    expect(await run.exited, run.stderr.join('\n')).toEqual({ code: 0, signal: null })

    expect(await readdir(folder)).toEqual(['out'])
    const { figures } = JSON.parse(
      await readFile(join(folder, 'out/bench/throughput.json'), 'utf8'),
    ) as { figures: { jobs: number; perSecond: Record<string, number[]> } }
    expect(figures.jobs).toBe(2_000)
    expect(figures.perSecond).toMatchObject({
      roundsman: [expect.any(Number)],
      sqlAlone: [expect.any(Number)],
      pgBoss: [expect.any(Number)],
      graphileWorker: [expect.any(Number)],
    })
    const report = await readFile(join(folder, 'out/bench.md'), 'utf8')
    expect(report).toContain('## Throughput')
    expect(report).toContain('| Roundsman, every run recorded |')
  }, 180_000)

  it('ends every process and removes every folder when it is interrupted', async () => {
    const run = bench('throughput')
    await run.waitForLine(/round 1, roundsman/, { timeoutMs: 90_000 })
    const postmaster = await findPostmaster()

    expect(await run.kill('SIGINT')).toEqual({ code: 130, signal: null })
    expect(await isRunning(postmaster)).toBe(false)
    expect(await readdir(folder)).toEqual([])
  }, 120_000)

  it('says what it knows when it is asked for something else', async () => {
    const run = bench('speed')
    expect(await run.exited).toEqual({ code: 2, signal: null })
    expect(run.stderr[0]).toMatch(/^There is no scenario "speed"; there are: throughput, latency/)
  })
})
