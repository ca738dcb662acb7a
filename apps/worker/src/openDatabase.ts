import {
  acquireDatabase,
  examineDatabase,
  type Database,
  type DatabaseEnvironment,
} from '@roundsman/db'
import { EnvironmentError } from '@roundsman/node-app'

/**
 * The database of this process, once it has answered.
 * @throws EnvironmentError why there is none, with the remedy
 */
export async function openDatabase(
  env: DatabaseEnvironment,
  onProgress: (message: string) => void,
  onRemedies: (remedies: string[]) => void = () => undefined,
): Promise<Database> {
  const database = await acquireDatabase(env, onProgress).catch((error: unknown) => {
    // What was foreseen explains itself; of anything else the place matters.
    if (!(error instanceof Error) || error.name !== 'Error') throw error
    throw new EnvironmentError([`DATA_DIR: ${error.message}`])
  })
  try {
    const { problem, remedies } = await examineDatabase(database.url)
    if (problem !== null) throw new EnvironmentError([problem])
    if (remedies.length > 0) onRemedies(remedies)
    return database
  } catch (error) {
    await database.release()
    throw error
  }
}
