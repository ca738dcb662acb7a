import { listenForStop } from '@roundsman/node-app'
import { exitCodeOf } from 'roundsman/commands'
import { onceCommand } from './once/onceCommand.ts'

const exitCode = await exitCodeOf(onceCommand, process.argv.slice(2), {
  variables: undefined,
  stdout: process.stdout,
  stderr: process.stderr,
  listenForStop: () => listenForStop({ isSupervised: false }),
})
// The run is over, whatever is still open.
process.exit(exitCode)
