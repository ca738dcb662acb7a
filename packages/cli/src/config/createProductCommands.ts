import { createCheckCommand, type CheckCommandOptions } from '../check/checkCommand.ts'
import type { Product } from '../command/product.ts'
import type { Terminal } from '../command/runCommand.ts'
import { createKeysCommand, createLimitsCommand } from '../control/limitsCommand.ts'
import { createQueueCommand } from '../control/queueCommand.ts'
import { createSignalCommand } from '../control/signalCommand.ts'
import { createSchedulesCommand } from '../control/schedulesCommand.ts'
import { createWorkCommand } from '../control/workCommand.ts'
import { createListCommand } from '../list/listCommand.ts'
import { createOnceCommand } from '../once/onceCommand.ts'
import { createDeadLettersCommand } from '../runs/deadLettersCommand.ts'
import { createRunsCommand } from '../runs/runsCommand.ts'

export interface ProductCommandsOptions {
  /** The words before the arguments of a command: `roundsman list` for `list`. */
  call(command: string): string
  /** @throws ForeseenError */
  open(terminal: Terminal): Promise<Product>
  check: Omit<CheckCommandOptions, 'call'>
}

/** The commands about a product's jobs, runs and waiting work, by name. */
export function createProductCommands({ call, open, check }: ProductCommandsOptions) {
  const source = (command: string) => ({ call: call(command), open })
  return {
    list: createListCommand(source('list')),
    check: createCheckCommand({ call: call('check'), ...check }),
    once: createOnceCommand({ ...source('once'), deadLetterList: call('dead-letters') }),
    runs: createRunsCommand(source('runs')),
    'dead-letters': createDeadLettersCommand({ ...source('dead-letters'), once: call('once') }),
    queue: createQueueCommand(source('queue')),
    work: createWorkCommand(source('work')),
    signal: createSignalCommand(source('signal')),
    limits: createLimitsCommand(source('limits')),
    keys: createKeysCommand(source('keys')),
    schedules: createSchedulesCommand(source('schedules')),
  }
}
