import { expect, it } from 'vitest'
import { finishFirst } from '../../src/command/finishFirst.ts'

it('lets a signal take effect when the work is done, and not before', async () => {
  const events: string[] = []
  await finishFirst(
    async () => {
      process.emit('SIGTERM', 'SIGTERM')
      events.push('work goes on')
    },
    (signal) => events.push(signal),
  )
  expect(events).toEqual(['work goes on', 'SIGTERM'])
})

it('does so also when the work fails, and hands its error on', async () => {
  const signals: string[] = []
  const broken = finishFirst(
    async () => {
      process.emit('SIGINT', 'SIGINT')
      throw new Error('broken')
    },
    (signal) => signals.push(signal),
  )
  await expect(broken).rejects.toThrow('broken')
  expect(signals).toEqual(['SIGINT'])
})

it('listens no longer than that: a second signal ends the process as usual', async () => {
  const before = process.listenerCount('SIGTERM')
  await finishFirst(
    async () => {
      expect(process.listenerCount('SIGTERM')).toBe(before + 1)
      process.emit('SIGTERM', 'SIGTERM')
      expect(process.listenerCount('SIGTERM')).toBe(before)
    },
    () => undefined,
  )
  await finishFirst(async () => undefined)
  expect(process.listenerCount('SIGTERM')).toBe(before)
})
