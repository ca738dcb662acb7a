import { expect } from 'vitest'
import type { SpawnedProcess } from './spawnProcess.ts'

/** Of a process that its supervisor holds back: that it begins when it is told to, also before it has looked. */
export async function expectToBegin(held: SpawnedProcess, readyLine: string): Promise<void> {
  held.stdin.write('begin\n')
  await held.waitForLine(readyLine)
  held.stdin.end()
  expect(await held.exited).toEqual({ code: 0, signal: null })
}

/** The same, that it has not begun when its supervisor is gone. */
export async function expectNotToBegin(held: SpawnedProcess): Promise<void> {
  held.stdin.end()
  expect(await held.exited).toEqual({ code: 0, signal: null })
  expect([held.stdout, held.stderr]).toEqual([[], []])
}
