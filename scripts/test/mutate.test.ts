import { expect, it } from 'vitest'
import { findMutants } from '../mutate/findMutants.ts'

function mutate(source: string): string[] {
  return findMutants(source).map(
    ({ start, end, text }) => source.slice(0, start) + text + source.slice(end),
  )
}

it('reverses each sort key, drops each condition and each lock, and leaves the rest', () => {
  const sql = (order: string, where: string, lock: string) =>
    `const A = \`select b\n -- and c\n from d where ${where} order by ${order} limit 1${lock}\``
  const [order, where, lock] = [
    'e desc, f.g nulls last',
    `h = 'x' and (i or j and k)`,
    ' for update skip locked',
  ]
  expect(mutate(sql(order, where, lock)).toSorted()).toEqual(
    [
      sql('e, f.g nulls last', where, lock),
      sql('e desc, f.g desc nulls last', where, lock),
      sql(order, `h = 'x' `, lock),
      sql(order, `h = 'x' and (i or j )`, lock),
      sql(order, where, '  skip locked'),
      sql(order, where, ' for update '),
    ].toSorted(),
  )
})

it('leaves alone what stands in comments and between', () => {
  expect(mutate(`/* order by a and b */ \`where c between 1 and 2\` // and d`)).toHaveLength(1)
  expect(mutate(`\`where c between 1 and 2\``)).toEqual([])
})

it('ends a condition where the text of one line ends', () => {
  expect(mutate(`f('where a and b', c)`)).toEqual([`f('where a ', c)`])
})
