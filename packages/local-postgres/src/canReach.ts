import type { Account } from './resolveAccount.ts'
import { runProgram } from './runProgram.ts'

/**
 * Whether the account can enter this folder. It tries instead of computing from the mode bits of the parents, and so allows
 * for access lists and mount options too.
 */
export async function canReach(account: Account | undefined, folder: string): Promise<boolean> {
  if (account === undefined) return true
  const { exitCode } = await runProgram('/bin/sh', ['-c', 'cd -- "$1"', 'sh', folder], {
    account,
    cwd: '/',
  })
  return exitCode === 0
}
