import fc from 'fast-check'
import { expect, it } from 'vitest'
import { addEntries } from '../../src/init/editManifest.ts'
import { parseManifest } from '../../src/init/manifest.ts'

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

it('ends its lines as the others end, and adds to the section that counts', () => {
  const text = '{\r\n  "scripts": {},\r\n  "scripts": {\r\n    "a": "1"\r\n  }\r\n}\r\n'
  expect(addEntries(text, 'scripts', { b: '2' })).toBe(
    '{\r\n  "scripts": {},\r\n  "scripts": {\r\n    "a": "1",\r\n    "b": "2"\r\n  }\r\n}\r\n',
  )
  expect(addEntries('{\r\n  "name": "x"\r\n}', 'scripts', { b: '2' })).toBe(
    '{\r\n  "name": "x",\r\n  "scripts": {\r\n    "b": "2"\r\n  }\r\n}',
  )
})

it.each(['[]', 'null', '5', '"x"', '{'])('refuses %s, which is no package', (text) => {
  expect(() => parseManifest('/product', text)).toThrow('package.json: ')
})

it('reads a package that begins with a byte-order mark', () => {
  expect(parseManifest('/product', '\uFEFF{ "name": "x" }')).toEqual({ name: 'x' })
})
