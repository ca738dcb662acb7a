import { expect, test } from 'vitest'
import { drawPlaces } from '../places/drawPlaces.ts'

const SMALL = 'export function one() {\n  return 1\n}\n'

function draw(files: Record<string, string>, seed = '1', count = 100) {
  return drawPlaces(new Map(Object.entries(files)), { seed, count })
}

test('a seed draws the same places again, one of each file, and another seed others', () => {
  const files = Object.fromEntries(
    Array.from({ length: 40 }, (_, nth) => [`packages/a/src/file${nth}.ts`, SMALL]),
  )
  const paths = (seed: string) => draw(files, seed, 5).map(({ path }) => path)

  expect(draw(files, '1', 5)).toEqual(draw(files, '1', 5))
  expect(new Set(paths('1'))).toHaveProperty('size', 5)
  expect(paths('1')).not.toEqual(paths('2'))
  expect(draw(files)).toHaveLength(40)
})

test('each function of a file is drawn by some seed, in whatever way it is declared', () => {
  const text = `
import 'node:fs'

export async function first() {
}
const second = () => {
  const third = function () {
  }
  const ofOneLine = () => third()
}
`
  const lines = Array.from({ length: 100 }, (_, seed) =>
    draw({ 'apps/a/src/b.ts': text }, `${seed}`),
  )

  expect(new Set(lines.flat().map(({ line }) => line))).toEqual(new Set([4, 6, 7]))
})

test('only functions of the sources are drawn: of no test, and of no product of the trials', () => {
  const files = {
    'apps/api/src/a.ts': SMALL,
    'scripts/b.ts': SMALL,
    'scripts/check/c.ts': SMALL,
    'apps/console/src/D.tsx': SMALL,
    'packages/jobs/src/noFunction.ts': 'export const value = 1\n',
    'packages/jobs/test/e.ts': SMALL,
    'scripts/test/f.ts': SMALL,
    'scripts/hosts/products/pantry/src/g.ts': SMALL,
    'vitest.config.ts': SMALL,
  }

  expect(
    draw(files)
      .map(({ path }) => path)
      .toSorted(),
  ).toEqual(['apps/api/src/a.ts', 'apps/console/src/D.tsx', 'scripts/b.ts', 'scripts/check/c.ts'])
})

test('a place has the comments of its function and of its file, and no others', () => {
  const states = `import 'node:fs'

/*
 * States:
 *   open
 */

/** Of the type. */
type Door = object

// Of no function.

/** Opens a door. */
// The second one.
export function open(door: Door) {
  return door // Not of the next.
}
`
  const [place] = draw({ 'packages/a/src/door.ts': states })

  expect(place).toEqual({
    path: 'packages/a/src/door.ts',
    line: 15,
    header: '/*\n * States:\n *   open\n */',
    text: '/** Opens a door. */\n// The second one.\nexport function open(door: Door) {\n  return door // Not of the next.\n}',
  })
  const program = `// Runs it.\n// Twice.\n${SMALL}`
  expect(draw({ 'scripts/main.ts': program })[0]?.header).toBe('// Runs it.\n// Twice.')
})

test('without a comment of its own, a file has that of the function which is named like it', () => {
  const text = `/** Opens a door. */
export function openDoor() {
  helper()
}
function helper() {
}
`
  const places = Array.from({ length: 20 }, (_, seed) =>
    draw({ 'packages/a/src/openDoor.ts': text }, `${seed}`),
  ).flat()

  expect(places).toContainEqual(
    expect.objectContaining({
      line: 5,
      header: '/** Opens a door. */',
      text: 'function helper() {\n}',
    }),
  )
  expect(places).toContainEqual(expect.objectContaining({ line: 2, header: '' }))
})
