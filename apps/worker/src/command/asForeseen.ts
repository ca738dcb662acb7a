import { EnvironmentError } from '@roundsman/node-app'
import { ForeseenError } from 'roundsman/commands'

/** Turns an EnvironmentError of the work into the error that commands print without a stack. */
export async function asForeseen<Result>(work: () => Result | Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof EnvironmentError) throw new ForeseenError(error.message, { cause: error })
    throw error
  }
}
