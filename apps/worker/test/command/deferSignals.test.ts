import { expect, it } from 'vitest'
import { deferSignals } from '../../src/command/deferSignals.ts'

it('lets a signal take effect when the work is done, and not before', async () => {
  const events: string[] = []
  await deferSignals(
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
  const broken = deferSignals(
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
  await deferSignals(
    async () => {
      expect(process.listenerCount('SIGTERM')).toBe(before + 1)
      process.emit('SIGTERM', 'SIGTERM')
      expect(process.listenerCount('SIGTERM')).toBe(before)
    },
    () => undefined,
  )
  await deferSignals(async () => undefined)
  expect(process.listenerCount('SIGTERM')).toBe(before)
})
