import { EventEmitter } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import type { Outcome } from './drawOutcome.ts'

/** Ways to end the process. Each costs a worker. */
export const DEADLY = [
  { kind: 'exits with 0', perform: () => process.exit(0) },
  { kind: 'exits with 1', perform: () => process.exit(1) },
  { kind: 'aborts', perform: () => process.abort() },
  { kind: 'kills itself', perform: () => process.kill(process.pid, 'SIGKILL') },
  { kind: 'fills the memory', perform: fillMemory },
  { kind: 'loops for ever', perform: loopForEver },
  { kind: 'throws where nobody is named', perform: throwUnnamed },
] as const

export type DeadlyKind = (typeof DEADLY)[number]['kind']

/** The way that has this number; after the last way the first comes again. */
export function deadlyOutcome(number: number): Outcome {
  const { kind, perform } = DEADLY[number % DEADLY.length] ?? DEADLY[0]
  return { kind, ends: 'failed', isSlow: false, perform }
}

function fillMemory(): never {
  const held: number[][] = []
  // Item by item it would take longer than the watchdog waits.
  // oxlint-disable-next-line unicorn/no-new-array -- its length is meant
  for (;;) held.push(new Array<number>(1_000_000).fill(0.5))
}

function loopForEver(): never {
  for (;;);
}

// Made when the process starts, so that what it calls belongs to no run's async context.
const elsewhere = new EventEmitter()
const wishes: (() => void)[] = []
elsewhere.on('wish', () => {
  for (const wish of wishes.splice(0)) wish()
})

/** Called by a process that carries out these outcomes. The timer belongs to no run. */
export function grantWishes(): void {
  setInterval(() => elsewhere.emit('wish'), 20)
}

async function throwUnnamed(): Promise<void> {
  wishes.push(() => {
    throw new Error('Nobody in particular')
  })
  await pause(2_000)
}
