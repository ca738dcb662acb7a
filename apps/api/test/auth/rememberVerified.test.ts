import { describe, expect, it } from 'vitest'
import { rememberVerified } from '../../src/auth/authentication.ts'

const START = Date.parse('2026-11-24T09:00:00.000Z')
const LIFE_MS = 60_000

/** Accepts `good…` for a minute from the start, and counts how often it is asked. */
function open(maxKept?: number) {
  const asked: string[] = []
  const verify = (token: string, nowMs: number) => {
    asked.push(token)
    if (!token.startsWith('good') || nowMs < START || nowMs > START + LIFE_MS) {
      throw new Error(`${token} is not valid`)
    }
    return { sub: token, exp: (START + LIFE_MS) / 1_000 }
  }
  return { asked, read: rememberVerified(verify, maxKept) }
}

describe('a verified token', () => {
  it('is verified once for as long as it lives', () => {
    const { asked, read } = open()
    for (const ms of [0, 1, 30_000, LIFE_MS - 1]) {
      expect(read('good', START + ms)).toMatchObject({ sub: 'good' })
    }
    expect(asked).toEqual(['good'])
  })

  it('is verified anew at its end, and refused behind it', () => {
    const { asked, read } = open()
    read('good', START)
    expect(read('good', START + LIFE_MS)).toMatchObject({ sub: 'good' })
    expect(() => read('good', START + LIFE_MS + 1)).toThrow('not valid')
    expect(() => read('good', START + LIFE_MS + 1)).toThrow('not valid')
    expect(asked).toHaveLength(4)
  })

  it('is verified anew before the instant at which it was found valid', () => {
    const { read } = open()
    read('good', START + 10)
    expect(() => read('good', START - 1)).toThrow('not valid')
  })

  it('says nothing of another one', () => {
    const { read } = open()
    expect(read('good one', START)).toMatchObject({ sub: 'good one' })
    expect(read('good other', START)).toMatchObject({ sub: 'good other' })
    expect(() => read('Good one', START)).toThrow('not valid')
  })
})

it('remembers no token that was refused', () => {
  const { asked, read } = open()
  for (let n = 0; n < 3; n++) expect(() => read('bad', START)).toThrow('not valid')
  expect(asked).toHaveLength(3)
})

it('remembers the latest and no more than so many', () => {
  const { asked, read } = open(2)
  for (const token of ['good 1', 'good 2', 'good 3', 'good 3', 'good 2', 'good 1']) {
    read(token, START)
  }
  expect(asked).toEqual(['good 1', 'good 2', 'good 3', 'good 1'])
})
