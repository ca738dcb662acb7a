/** Which jobs and runs have changed since the queries were last told. */
export interface Changes {
  ids: ReadonlySet<string>
  names: ReadonlySet<string>
}

/** Whether what a query holds may have changed with these runs and ticks. */
export function isTouched(queryKey: readonly unknown[], data: unknown, changes: Changes): boolean {
  const [kind, about] = queryKey
  switch (kind) {
    case 'overview':
    case 'jobs':
    case 'queue':
      return true
    case 'job':
      return typeof about === 'string' && changes.names.has(about)
    case 'run':
      // By name as well: another attempt at its work is a run of its own.
      return typeof about === 'string' && (changes.ids.has(about) || hasName(data, changes.names))
    case 'runs':
    case 'deadLetters': {
      const name = (about as { name?: string } | undefined)?.name
      return name === undefined || changes.names.has(name)
    }
    default:
      return false
  }
}

function hasName(data: unknown, names: ReadonlySet<string>): boolean {
  const name = (data as { name?: unknown } | undefined)?.name
  return typeof name === 'string' && names.has(name)
}
