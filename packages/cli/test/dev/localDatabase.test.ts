import { describe, expect, it } from 'vitest'
import { isOnThisMachine, setVariable } from '../../src/dev/localDatabase.ts'

describe('isOnThisMachine', () => {
  it.each([
    ['postgres://shop@localhost/shop', true],
    ['postgres://shop@127.0.0.1:5433/shop', true],
    ['postgres://shop@[::1]/shop', true],
    ['postgres://shop@/shop?host=/var/run/postgresql', true],
    // The driver prefers the parameter.
    ['postgres://shop@localhost/shop?host=db.example.com', false],
    ['postgres://shop@localhost.example.com/shop', false],
    ['postgres://shop@10.0.0.5/shop', false],
    ['postgres://shop@db/shop', false],
  ])('%s: %s', (url, expected) => {
    expect(isOnThisMachine(url)).toBe(expected)
  })
})

describe('setVariable', () => {
  it.each([
    ['', 'A=1\n'],
    ['B=2', 'B=2\nA=1\n'],
    ['# A=0\nA = 0\nB=2\n', '# A=0\nA=1\nB=2\n'],
    ['export A="0"\r\nB=2\r\n', 'A=1\r\nB=2\r\n'],
    ['AA=0\n', 'AA=0\nA=1\n'],
  ])('changes one line of %j', (before, after) => {
    expect(setVariable(before, 'A', '1')).toBe(after)
  })
})
