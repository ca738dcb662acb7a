import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { batchLookUps } from '../../src/auth/authentication.ts'

/** Roles that may change, and look-ups that the test answers, each with the roles of when it began. */
function open(roles: Record<string, string>) {
  const asked: (readonly string[])[] = []
  const answers: PromiseWithResolvers<void>[] = []
  const find = batchLookUps(async (ids) => {
    const found = new Map(Object.entries(roles).filter(([id]) => ids.includes(id)))
    const answer = Promise.withResolvers<void>()
    asked.push(ids)
    answers.push(answer)
    await answer.promise
    return found
  })
  return { find, asked, answers }
}

it('asks once for all who ask in the same turn, and tells each what it asked for', async () => {
  const { find, asked, answers } = open({ anna: 'admin', otto: 'staff' })
  const found = Promise.all(['anna', 'nobody', 'otto', 'anna'].map((id) => find(id)))
  await nextTurn()
  answers[0]?.resolve()
  expect(await found).toEqual(['admin', undefined, 'staff', 'admin'])
  expect(asked).toEqual([['anna', 'nobody', 'otto']])
})

it('tells nobody what was true before it asked, and lets nobody wait for who asked before', async () => {
  const roles = { anna: 'admin' }
  const { find, answers } = open(roles)
  const before = find('anna')
  await nextTurn()
  expect(answers).toHaveLength(1)
  roles.anna = 'staff'
  const after = find('anna')
  await nextTurn()
  answers[1]?.resolve()
  expect(await after).toBe('staff')
  answers[0]?.resolve()
  expect(await before).toBe('admin')
})

it('tells of a failure those whom it concerns, and nobody else', async () => {
  const { find, answers } = open({ anna: 'admin' })
  const failing = Promise.allSettled([find('anna'), find('otto')])
  await nextTurn()
  answers[0]?.reject(new Error('connection lost'))
  const reason = expect.objectContaining({ message: 'connection lost' })
  expect(await failing).toEqual([
    { status: 'rejected', reason },
    { status: 'rejected', reason },
  ])
  const next = find('anna')
  await nextTurn()
  answers[1]?.resolve()
  expect(await next).toBe('admin')
})
