import { setTimeout as pause } from 'node:timers/promises'
import { readProcess } from '../../readProcess.ts'
import { startProcess } from '../../startProcess.ts'
import type { CleanupData } from './cleanupData.ts'

export interface CleanupRun {
  /** From the run's record to its end. */
  durationMs: number
  cleaned: number
  /** For each batch, from its first lock to its commit. */
  batchesMs: number[]
  /** The most memory that the process ever had. */
  peakMb: number
}

const SAMPLE_MS = 20

/** Runs the job with `pnpm worker:once`, in a process of its own. */
export async function runCleanup(
  job: CleanupData['job'],
  databaseUrl: string,
  onMoment: (moment: 'started' | 'finished') => void = () => undefined,
): Promise<CleanupRun> {
  const batchesMs: number[] = []
  const child = startProcess('apps/worker/src/cli.ts', {
    args: ['once', job, '--json'],
    env: {
      DATABASE_URL: databaseUrl,
      LOG_LEVEL: 'debug',
      NODE_ENV: undefined,
      SMTP_URL: undefined,
      I18N_CACHE_MAX_AGE_DAYS: undefined,
    },
    onLine(line) {
      if (line.includes('"clean-up batch done"')) {
        const { rows, lockedMs } = JSON.parse(line) as { rows: number; lockedMs: number }
        if (rows > 0) batchesMs.push(lockedMs)
      }
      if (line.includes('"job run started"')) onMoment('started')
      if (line.includes('"job run finished"')) onMoment('finished')
    },
  })
  let peakMb = 0
  const ended = new AbortController()
  const watch = (async () => {
    while (!ended.signal.aborted) {
      peakMb = Math.max(peakMb, (await readProcess(child.pid))?.peakMb ?? 0)
      await pause(SAMPLE_MS)
    }
  })()
  try {
    const [text] = await child.line(/^\{"id":.*"durationMs":.*$/)
    const run = JSON.parse(text) as {
      status: string
      durationMs: number
      details: { cleaned: number }
    }
    if (run.status !== 'success') throw new Error(`${job} failed: ${text}`)
    return { durationMs: run.durationMs, cleaned: run.details.cleaned, batchesMs, peakMb }
  } finally {
    ended.abort()
    await watch
    await child.stop()
  }
}
