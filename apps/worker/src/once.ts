import { listenForStop } from '@roundsman/node-app'
import { exitCodeOf } from 'roundsman/commands'
import { onceCommand } from './once/onceCommand.ts'

const exitCode = await exitCodeOf(onceCommand, process.argv.slice(2), {
  variables: undefined,
  stdout: process.stdout,
  stderr: process.stderr,
  listenForStop: () => listenForStop({ isSupervised: false }),
})
// Whatever is still open: the run is over.
process.exit(exitCode)
