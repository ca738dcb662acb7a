import type { ConsoleRunEvent } from '@roundsman/api/console'

/** What an event names; nothing for one that cannot be read. */
export function readEvent(data: unknown): ConsoleRunEvent {
  if (typeof data !== 'string') return { ids: [], names: [] }
  try {
    const { ids, names } = JSON.parse(data) as Partial<Record<'ids' | 'names', unknown>>
    return { ids: texts(ids), names: texts(names) }
  } catch {
    return { ids: [], names: [] }
  }
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((entry) => typeof entry === 'string') : []
}
