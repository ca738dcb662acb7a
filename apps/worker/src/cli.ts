import { listenForStop } from '@roundsman/node-app'
import { exitCodeOf, runAsProcess } from 'roundsman/commands'
import { commands } from './command/commands.ts'

// The first argument names the command.
await runAsProcess(
  async ([name = '', ...args], terminal) => {
    if (!Object.hasOwn(commands, name)) throw new Error(`There is no command "${name}"`)
    return await exitCodeOf(commands[name as keyof typeof commands], args, terminal)
  },
  () => listenForStop({ isSupervised: false }),
)
