import { expect } from 'vitest'
import type { SpawnedProcess } from './spawnProcess.ts'

/** Asserts that a process which its supervisor holds back begins when it is told to, even before it has looked. */
export async function expectToBegin(held: SpawnedProcess, readyLine: string): Promise<void> {
  held.stdin.write('begin\n')
  await held.waitForLine(readyLine)
  held.stdin.end()
  expect(await held.exited).toEqual({ code: 0, signal: null })
}

/** Asserts that such a process does not begin when its supervisor is gone. */
export async function expectNotToBegin(held: SpawnedProcess): Promise<void> {
  held.stdin.end()
  expect(await held.exited).toEqual({ code: 0, signal: null })
  expect([held.stdout, held.stderr]).toEqual([[], []])
}
