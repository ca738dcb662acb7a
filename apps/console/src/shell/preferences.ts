type Key = 'theme' | 'shortcuts'

/** Stores a choice of this viewer on this machine. Where storage is forbidden, it lasts as long as the page. */
export function storePreference(key: Key, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(`roundsman.${key}`)
    else localStorage.setItem(`roundsman.${key}`, value)
  } catch {
    // Nothing depends on it.
  }
}

/** Reads a stored choice; null when there is none, or where storage is forbidden. */
export function readPreference(key: Key): string | null {
  try {
    return localStorage.getItem(`roundsman.${key}`)
  } catch {
    return null
  }
}
