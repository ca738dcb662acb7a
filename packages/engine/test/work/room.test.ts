import { afterEach, expect, it } from 'vitest'
import { readLimitNews, writeLimitNews } from '../../src/database/channels.ts'
import { createLimits } from '../../src/work/limits.ts'
import { createRoom, type Room } from '../../src/work/room.ts'

const LIMITS = ['crm', 'job:sync']
const limits = createLimits()
limits.note({ sync: { limits: LIMITS, order: 'fair' } })

const rooms: Room[] = []
let sent: string[]

/** The part of a worker that tells others of limits; nobody hears what it says. */
function openRoom(): Room {
  sent = []
  const room = createRoom({
    workerId: 'w1',
    limits,
    onRoom: (name) => void sent.push(`woken ${name}`),
    waker: {
      wake(subject) {
        const { kind, worker, limit, about } = readLimitNews(subject)!
        sent.push([kind, worker, limit, about].join(' ').trim())
      },
    },
  })
  rooms.push(room)
  return room
}

afterEach(() => rooms.splice(0).forEach((room) => room.stop()))

const wait = (room: Room, worker: string, limit = 'crm', about = 'mail') =>
  room.receive(writeLimitNews({ kind: 'waits', limit, worker, about }))

/** Claims so many where there is room for `free` under the limit that it shares, and for any number of its own. */
async function claim(room: Room, free: number, taken: number, keys: string[] = []): Promise<void> {
  await room.claiming(LIMITS)
  const answer = { free: { crm: free, 'job:sync': null }, taken, keys, isFull: taken >= free }
  room.claimed('sync', LIMITS, answer)
}

it('a worker tells what it leaves of a limit to one that waits, and then to the next', async () => {
  const room = openRoom()
  wait(room, 'w2', 'crm', 'sync')
  wait(room, 'w3', 'crm', 'sync')
  await claim(room, 3, 3)
  expect(sent).toEqual(['waits w1 crm sync'])
  sent = []
  await claim(room, 3, 1)
  expect(sent).toEqual(['room w2 crm'])
  await claim(room, 2, 1)
  await claim(room, 2, 1)
  expect(sent).toEqual(['room w2 crm', 'room w3 crm'])
})

it('a worker tells nobody of room that its own next claim takes', async () => {
  const room = openRoom()
  wait(room, 'w2', 'crm', 'sync')
  room.ended('sync', LIMITS, 'a')
  await claim(room, 1, 1, ['a'])
  room.stop()
  expect(sent).toEqual(['waits w1 crm sync'])
})

it('a worker that stops tells of the keys of which runs have ended, also who says only then that it waits', () => {
  const room = openRoom()
  wait(room, 'w2', 'job:sync', 'sync')
  room.ended('sync', LIMITS, 'a')
  room.ended('sync', LIMITS, 'key b')
  room.stop()
  expect(sent).toEqual(['room w2 job:sync a', 'room w2 job:sync key b'])
  sent = []
  wait(room, 'w3')
  expect(sent).toEqual(['room w3 crm'])
})

it('a worker that waits says so once, and again once it was told of room in vain', async () => {
  const room = openRoom()
  await claim(room, 0, 0)
  await claim(room, 0, 0)
  expect(sent).toEqual(['waits w1 crm sync'])
  room.receive(writeLimitNews({ kind: 'room', limit: 'crm', worker: 'w1', about: '' }))
  await claim(room, 0, 0)
  expect(sent).toEqual(['waits w1 crm sync', 'woken sync', 'waits w1 crm sync'])
})

it('a worker hears nothing of its own words, of limits of others, and of what is for others', () => {
  const room = openRoom()
  const isWanted = (kind: 'waits' | 'room', worker: string, limit = 'crm') =>
    room.isWanted(writeLimitNews({ kind, limit, worker, about: 'x' }))
  expect([isWanted('waits', 'w2'), isWanted('waits', 'w1')]).toEqual([true, false])
  expect(['w1', '', 'w2'].map((worker) => isWanted('room', worker))).toEqual([true, true, false])
  expect(isWanted('room', '', 'other')).toBe(false)
  for (const subject of ['sync', 'room', 'room/crm', 'room/crm/w1/%', 'x/crm/w1/'])
    expect(room.isWanted(subject)).toBe(false)
})
