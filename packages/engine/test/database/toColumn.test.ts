import { expect, it } from 'vitest'
import { toColumn } from '../../src/database/toColumn.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

const runtime = useTestRuntime()

async function readBack(type: string, values: Parameters<typeof toColumn>[0]) {
  const rows = await runtime.rows<{ value: unknown }>(
    `select value from unnest($1::int[], $2::${type}[]) as input(n, value) order by n`,
    [values.map((_, index) => index), toColumn(values)],
  )
  return rows.map(({ value }) => value)
}

it.each([
  ['text', ['plain', 'with-dash', 'with.dot']],
  ['text', ['', 'NULL', 'null', 'nullish', '{}', 'a,b', 'a b', '"', '\\', "it's", 'é', '\n']],
  ['text', [null, 'null', null]],
  ['text', ['same', 'same', 'same']],
  ['text', ['null', 'null']],
  ['text', ['a,b', 'a,b']],
  ['text', []],
  ['text', [null, null]],
  ['text', ['{"error":{"code":"x","message":"a, \\"b\\""}}', null]],
  ['uuid', ['019abc00-0000-7000-8000-000000000001', null, '019abc00-0000-7000-8000-000000000002']],
  ['int', [1, -2, 2_147_483_647]],
  ['bool', [true, false]],
  ['float8', [0.5, Infinity, null]],
  ['timestamptz', [new Date('2026-11-24T22:10:39.123Z'), new Date(0)]],
] as const)('%s: %j', async (type, values) => {
  expect(await readBack(type, values)).toEqual(values)
})
