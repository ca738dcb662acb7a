// Processes: runs an API and kills workers.
import { createTestDatabase, waitFor } from '@roundsman/testing'
import { expect, it, onTestFinished } from 'vitest'
import { startApi, startWorker } from './startProcesses.ts'

it('is well from the first worker on, and for as long as one lives that works', async () => {
  const database = await createTestDatabase()
  onTestFinished(() => database.drop())
  const { api, url } = await startApi(database.url)
  // A busy machine may answer late, which is 503 as well: wait for the answer's content.
  const answers = (answer: 'ok' | 'noWorker') =>
    waitFor(
      async () => {
        const response = await fetch(`${url}/health/jobs`)
        const { problems } = (await response.json()) as { problems?: { kind: string }[] }
        if (answer === 'ok') return response.status === 200
        return response.status === 503 && problems?.map(({ kind }) => kind).join() === answer
      },
      { message: `/health/jobs to say ${answer}` },
    )

  expect(await answers('noWorker')).toBe(true)
  // It lives and does nothing: for the jobs it counts as no worker.
  const idle = await startWorker(database.url, { JOBS_ENABLED: 'false' })
  expect(await answers('noWorker')).toBe(true)
  const worker = await startWorker(database.url)
  expect(await answers('ok')).toBe(true)
  await worker.kill('SIGKILL')
  expect(await answers('noWorker')).toBe(true)
  await Promise.all([api.kill(), idle.kill()])
})
