import fc from 'fast-check'
import { expect, it } from 'vitest'
import { addEntries } from '../../src/init/editManifest.ts'

it('adds in the order of the alphabet, and leaves the rest as it stands', () => {
  const text = `{
    "files": ["dist", "{a,b}"],
    "dependencies": {
        "fastify": "^5.0.0",
        "zod": "^4.0.0"
    }
}
`
  expect(addEntries(text, 'dependencies', { pg: '^8.0.0', zod: '1', 'a-z': '2' })).toBe(`{
    "files": ["dist", "{a,b}"],
    "dependencies": {
        "a-z": "2",
        "fastify": "^5.0.0",
        "pg": "^8.0.0",
        "zod": "^4.0.0"
    }
}
`)
})

it('adds at the end where nothing is in order, and makes what is missing', () => {
  const text = '{\n  "scripts": {\n    "start": "node .",\n    "build": "tsc"\n  }\n}\n'
  expect(addEntries(text, 'scripts', { check: 'x' })).toBe(
    '{\n  "scripts": {\n    "start": "node .",\n    "build": "tsc",\n    "check": "x"\n  }\n}\n',
  )
  expect(addEntries(text, 'dependencies', { pg: '8' })).toBe(
    '{\n  "scripts": {\n    "start": "node .",\n    "build": "tsc"\n  },\n  "dependencies": {\n    "pg": "8"\n  }\n}\n',
  )
  expect(addEntries('{}', 'dependencies', { pg: '8' })).toBe(
    '{\n  "dependencies": {\n    "pg": "8"\n  }\n}',
  )
})

it('means what it says, whatever a manifest holds', () => {
  const manifest = fc.record({
    name: fc.string(),
    files: fc.array(fc.string()),
    scripts: fc.dictionary(fc.string(), fc.string()),
    other: fc.jsonValue(),
  })
  fc.assert(
    fc.property(
      manifest,
      fc.string(),
      fc.string(),
      fc.constantFrom(2, 4),
      (given, key, value, indent) => {
        // As JSON has it, which has no -0.
        const before = JSON.parse(JSON.stringify(given)) as typeof given
        const after: unknown = JSON.parse(
          addEntries(JSON.stringify(before, null, indent), 'scripts', { [key]: value }),
        )
        const expected = Object.hasOwn(before.scripts, key)
          ? before.scripts
          : { ...before.scripts, [key]: value }
        expect(after).toEqual({ ...before, scripts: expected })
      },
    ),
  )
})
