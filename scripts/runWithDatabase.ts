import { readWorkerEnvironment } from '../apps/worker/src/env.ts'
import { EnvironmentError, listenForStop, StartError } from '@roundsman/node-app'
import type { DatabaseEnvironment } from '@roundsman/db/admin'
import { acquireUsableDatabase } from '../apps/worker/src/acquireMigratedDatabase.ts'

/**
 * Runs a command that needs the database, prints the sentence that it returns, and resolves to the exit code. A signal
 * does not break it off: that would leave the embedded database running.
 */
export async function runWithDatabase(
  command: (context: { url: string; env: DatabaseEnvironment }) => Promise<string>,
): Promise<number> {
  try {
    const env = readWorkerEnvironment(process.env)
    listenForStop({ isSupervised: false })
    const database = await acquireUsableDatabase(env, (message) =>
      process.stderr.write(`${message}\n`),
    )
    try {
      const message = await command({ url: database.url, env })
      process.stdout.write(`${message}\n`)
      return 0
    } finally {
      await database.release()
    }
  } catch (error) {
    if (!(error instanceof Error)) throw error
    const isForeseen = error instanceof EnvironmentError || error instanceof StartError
    process.stderr.write(`${isForeseen ? error.message : error.stack}\n`)
    return 1
  }
}
