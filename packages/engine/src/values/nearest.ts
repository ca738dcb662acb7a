/** Shorter names would match almost anything: `at` would match `it`. */
const MIN_LENGTH = 3
/** Longer names are not compared: the time is proportional to the product of both lengths. */
const MAX_LENGTH = 200

/** The known name that the caller most likely meant. Null if none is similar. */
export function findNearest(wanted: string, names: readonly string[]): string | null {
  if (wanted.length < MIN_LENGTH || wanted.length > MAX_LENGTH) return null
  const lower = wanted.toLowerCase()
  const [best] = names
    .map((name) => ({ name, distance: distanceBetween(lower, name.toLowerCase()) }))
    .toSorted((a, b) => a.distance - b.distance)
  const most = Math.max(1, Math.floor(wanted.length / 4))
  return best !== undefined && best.distance <= most ? best.name : null
}

/** The number of letters to insert, delete, replace, or swap with their neighbour. */
function distanceBetween(a: string, b: string): number {
  let before: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, nth) => nth)
  for (let row = 1; row <= a.length; row++) {
    const next = [row]
    for (let column = 1; column <= b.length; column++) {
      const isSame = a[row - 1] === b[column - 1]
      let least = Math.min(
        at(last, column) + 1,
        at(next, column - 1) + 1,
        at(last, column - 1) + (isSame ? 0 : 1),
      )
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]) {
        least = Math.min(least, at(before, column - 2) + 1)
      }
      next.push(least)
    }
    before = last
    last = next
  }
  return at(last, b.length)
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Number.POSITIVE_INFINITY
}
