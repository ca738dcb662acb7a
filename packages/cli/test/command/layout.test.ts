import { expect, it } from 'vitest'
import { layOutRows, onOneLine, wrap, type Layout } from '../../src/command/layout.ts'

const layout = (width: number): Layout => ({
  width,
  paint: (style, text) => `<${style}>${text}</${style}>`,
})

it('wraps at the width, and indents all lines but the first', () => {
  expect(wrap('one two three four', 9)).toBe('one two\nthree\nfour')
  expect(wrap('one two three four', 9, 2)).toBe('one two\n  three\n  four')
  expect(wrap('a word-that-is-far-too-long b', 9)).toBe('a\nword-that-is-far-too-long\nb')
})

it('puts rows into columns as wide as what they hold, and wraps the last one', () => {
  const rows = [
    { cells: ['a', 'bb', 'some words that are long enough'] },
    { cells: ['aaa', '', ''], style: 'red' as const },
  ]
  expect(layOutRows(rows, layout(30), 2)).toEqual([
    '  a    bb  some words that are\n           long enough',
    '<red>  aaa</red>',
  ])
})

it('leaves nothing in foreign text that steers the terminal, or begins another line', () => {
  expect(onOneLine('\u001b[2Jred\u001b]0;title\u0007\r\n\tnext\u009b1m\u2028 line ')).toBe(
    'red next line',
  )
})

it('lays out nothing', () => {
  expect(layOutRows([], layout(80))).toEqual([])
})
