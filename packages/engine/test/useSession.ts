import { openForTests } from '@roundsman/testing'
import { createSession, type Session } from '../src/liveness/session.ts'
import type { TestRuntime } from './openTestRuntime.ts'

/** Has a worker with this id live for the tests of a file. */
export function useSession(runtime: TestRuntime, workerId = 'w1'): Session {
  return openForTests(async () => {
    const { url, database, log } = runtime
    const session = createSession({ url, database, workerId, log })
    await session.start()
    return { ...session, close: session.stop }
  })
}
