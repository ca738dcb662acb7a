import { expect, it } from 'vitest'
import { readShortcut, type ShortcutState } from '../../src/shell/useShortcuts.ts'

function type(keys: string) {
  let state: ShortcutState = 'idle'
  const shortcuts = []
  for (const key of keys) {
    const next = readShortcut(state, key)
    state = next.state
    if (next.shortcut !== null) shortcuts.push(next.shortcut)
  }
  return shortcuts
}

it('goes to places with g and a letter', () => {
  expect(type('gogjgrgqgagdglgw')).toEqual([
    ...['/', '/jobs', '/runs', '/queues', '/waiting', '/dead-letters'],
    ...['/limits', '/workers'],
  ])
})

it('does nothing for a letter alone, or one that is no place', () => {
  expect(type('orq')).toEqual([])
  expect(type('gxo')).toEqual([])
})

it('goes down and up in a list', () => {
  expect(type('jkgjj')).toEqual(['down', 'up', '/jobs', 'down'])
})

it('searches, filters, checks and helps', () => {
  expect(type('/fx?')).toEqual(['search', 'filter', 'check', 'help'])
})
