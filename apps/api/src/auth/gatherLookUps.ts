/**
 * Answers those who ask in the same turn of the event loop by one look-up. It begins after the last of them has asked,
 * so that none is told what was true before; and it waits for no other, so that one that hangs holds up nobody else.
 */
export function gatherLookUps<Found>(
  lookUp: (keys: readonly string[]) => Promise<ReadonlyMap<string, Found>>,
): (key: string) => Promise<Found | undefined> {
  let next: { keys: Set<string>; found: Promise<ReadonlyMap<string, Found>> } | null = null

  function begin(): NonNullable<typeof next> {
    const keys = new Set<string>()
    const turn = new Promise<void>((resolve) => setImmediate(resolve))
    const found = turn.then(() => {
      next = null
      return lookUp([...keys])
    })
    return { keys, found }
  }

  return async (key) => {
    next ??= begin()
    next.keys.add(key)
    return (await next.found).get(key)
  }
}
