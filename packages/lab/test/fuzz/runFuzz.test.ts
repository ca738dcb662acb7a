// Processes: runs an API.
import { createTestDatabase } from '@roundsman/testing'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { CALLERS } from '../../src/fuzz/callers.ts'
import { renderFuzzReport, summarizeFindings } from '../../src/fuzz/renderFuzzReport.ts'
import { runFuzz } from '../../src/fuzz/runFuzz.ts'

const SHORT_FORM = { seed: 20_261_124, requests: 1_500, worker: false }

describe('the fuzzer in its short form', () => {
  it('finds nothing, and gets through to what there is', async ({ signal }) => {
    const database = await createTestDatabase()
    const dataDir = await mkdtemp(join(tmpdir(), 'roundsman-fuzz-'))
    onTestFinished(async () => {
      await database.drop()
      await rm(dataDir, { recursive: true, force: true })
    })
    const result = await runFuzz(SHORT_FORM, {
      databaseUrl: database.url,
      dataDir,
      signal,
      onProgress: () => undefined,
    })

    expect(summarizeFindings(result.findings)).toEqual([])
    const hasServed = ([, statuses]: [string, Map<string, number>]) =>
      [...statuses.keys()].some((status) => status.startsWith('2'))
    const unserved = [...result.routes].filter((entry) => !hasServed(entry)).map(([id]) => id)
    // Whether a request finds its thing in the right state depends on the order within a round: a few operations may never
    // be served. Without a worker, the jobs' health is never good.
    const expected = new Set(['elsewhere', 'GET /health/jobs'])
    const isShort = (operations: string[]) => operations.length < 8
    expect(unserved.filter((operation) => !expected.has(operation))).toSatisfy(isShort)
    expect([...result.callers.keys()].toSorted()).toEqual(CALLERS.toSorted())
    expect(renderFuzzReport([result], null)).toContain('No findings.')
  }, 120_000)
})
