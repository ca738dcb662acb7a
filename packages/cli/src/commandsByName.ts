import type { Command, ProcessTerminal } from './command/runCommand.ts'
import type { productCommands } from './config/productCommands.ts'

const ofProduct = (name: keyof typeof productCommands) => async () =>
  (await import('./config/productCommands.ts')).productCommands[name]

/** The commands of `roundsman`. Each is loaded when it is called, so that none loads the dependencies of others. */
export const commandsByName: Readonly<Record<string, () => Promise<Command<ProcessTerminal>>>> = {
  init: async () => (await import('./init/initCommand.ts')).initCommand,
  new: async () => (await import('./newJob/newCommand.ts')).newCommand,
  migrate: async () => (await import('./migrate/migrateCommand.ts')).migrateCommand,
  dev: async () => (await import('./dev/devCommand.ts')).devCommand,
  build: async () => (await import('./program/programCommands.ts')).buildCommand,
  worker: async () => (await import('./program/programCommands.ts')).workerCommand,
  list: ofProduct('list'),
  check: ofProduct('check'),
  once: ofProduct('once'),
  runs: ofProduct('runs'),
  'dead-letters': ofProduct('dead-letters'),
  queue: ofProduct('queue'),
  work: ofProduct('work'),
  signal: ofProduct('signal'),
  limits: ofProduct('limits'),
  keys: ofProduct('keys'),
  schedules: ofProduct('schedules'),
  console: async () => (await import('./config/consoleCommand.ts')).consoleCommand,
  mcp: async () => (await import('./mcp/mcpCommand.ts')).mcpCommand,
  import: async () => (await import('./config/productCommands.ts')).importCommand,
  export: async () => (await import('./migrate/migrateCommand.ts')).exportCommand,
  uninstall: async () => (await import('./migrate/migrateCommand.ts')).uninstallCommand,
}
