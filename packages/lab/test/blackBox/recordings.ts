import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'

type Plain = null | boolean | number | string | Plain[] | { [key: string]: Plain }

interface Recording {
  name: string
  answers: Plain
}

/** Of the environment: `RECORD=1 pnpm blackbox` writes the recordings anew. */
const { RECORD } = process.env

const WIDTH = 110
/** How long a case waits for what it asks: a machine may be busy. */
export const PATIENCE_MS = 240_000
const YEARS_2_MS = 2 * 366 * 86_400_000
/** What these hold is written for people, and may be reworded. */
const SENTENCES = /^(message|text|detail|title|problem|remedy|summary|stack|parkReason)$/
/** What these hold depends on the machine. */
const MEASURED = /^(at|durationMs|oldestSeconds|pid)$/

/**
 * Returns a function that adds a case: a test which compares what the case answers with its recording in `<area>.json`.
 * A recording without a case fails as well.
 */
export function openRecordings(area: string): (name: string, does: () => unknown) => void {
  const file = join(import.meta.dirname, `${area}.json`)
  const recordings = new Map<string, Plain>(
    (JSON.parse(readText(file)) as Recording[]).map(({ name, answers }) => [name, answers]),
  )
  const names: string[] = []

  afterAll(() => {
    if (RECORD !== undefined) {
      const kept = names.flatMap((name) => {
        const answers = recordings.get(name)
        return answers === undefined ? [] : [{ name, answers }]
      })
      writeFileSync(file, `${print(kept, true)}\n`)
    }
    expect(RECORD === undefined ? [...recordings.keys()] : names).toEqual(names)
  })

  return (name, does) => {
    if (names.includes(name)) throw new Error(`Two cases have the name "${name}"`)
    names.push(name)
    it(name, { timeout: PATIENCE_MS }, async () => {
      const answers = normalise(await does())
      if (RECORD !== undefined) recordings.set(name, answers)
      expect(answers).toEqual(recordings.get(name))
    })
  }
}

/** What an error tells programs. A case that expects one fails without it. */
export async function refusal(asked: unknown): Promise<unknown> {
  try {
    const answered = await (typeof asked === 'function' ? (asked as () => unknown)() : asked)
    return { answered }
  } catch (error) {
    const { name, code, argument, retryable, kind, what } = error as Record<string, unknown>
    return { error: name, code, argument, retryable, kind, what }
  }
}

/**
 * Makes answers comparable: keys are sorted; ids, instants near to now, durations and sentences become placeholders. The
 * same id has the same placeholder within a case.
 */
export function normalise(answers: unknown): Plain {
  const places = new Map<string, string>()
  const placeOf = (kind: string) => (found: string) => {
    const known = places.get(found)
    if (known !== undefined) return known
    const nth = [...places.values()].filter((one) => one.startsWith(`<${kind} `)).length + 1
    const place = `<${kind} ${nth}>`
    places.set(found, place)
    return place
  }
  const readString = (text: string) =>
    text
      .replaceAll(/[\w.-]+:\d+:[0-9a-f]{8}\b/g, placeOf('worker'))
      .replaceAll(
        /\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g,
        placeOf('id'),
      )
      .replaceAll(/\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00(?::?00)?)?/g, (instant) =>
        Math.abs(Date.parse(instant.replace(/\+00$/, 'Z')) - Date.now()) < YEARS_2_MS
          ? '<instant>'
          : instant,
      )
      .replaceAll(/127\.0\.0\.1:\d+/g, '127.0.0.1:<port>')
  const read = (value: unknown, key = ''): unknown => {
    if (value instanceof Date) return readString(value.toISOString())
    if (value instanceof Map) return read(Object.fromEntries(value))
    if (Array.isArray(value)) return value.map((one) => read(one))
    if (typeof value === 'number') return MEASURED.test(key) ? '<number>' : value
    if (key === 'nextCursor' && typeof value === 'string') return '<cursor>'
    if (key === 'mark' && typeof value === 'string' && value.length > 100) return '<mark>'
    if (typeof value === 'string') return SENTENCES.test(key) ? '<sentence>' : readString(value)
    if (typeof value !== 'object' || value === null) return value
    const entries = Object.entries(value).toSorted(([one], [other]) => (one < other ? -1 : 1))
    return Object.fromEntries(entries.map(([name, part]) => [readString(name), read(part, name)]))
  }
  return JSON.parse(JSON.stringify(read(answers) ?? null)) as Plain
}

/** JSON, of which each part that fits stands on one line. */
function print(value: unknown, isTall = false, indent = ''): string {
  const short = JSON.stringify(value)
  const isWhole = typeof value !== 'object' || value === null || short.length <= 2
  if (isWhole || (!isTall && indent.length + short.length < WIDTH)) return short
  const deeper = `${indent}  `
  if (Array.isArray(value)) {
    const parts = value.map((one) => deeper + print(one, isTall && indent === '', deeper))
    return `[\n${parts.join(',\n')}\n${indent}]`
  }
  const parts = Object.entries(value).map(
    ([name, part]) => `${deeper}${JSON.stringify(name)}: ${print(part, false, deeper)}`,
  )
  return `{\n${parts.join(',\n')}\n${indent}}`
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return '[]'
  }
}
