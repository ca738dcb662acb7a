import { setTimeout as delay } from 'node:timers/promises'

const FIRST_MS = 50
const MAX_MS = 5_000

/** The pause before the next try of something that must succeed in the end: longer after each failure, from 50 ms to 5 s. */
export async function pauseAfter(failures: number): Promise<void> {
  await delay(Math.min(FIRST_MS * 2 ** (failures - 1), MAX_MS))
}
