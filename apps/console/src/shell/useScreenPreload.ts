import { useRouter } from '@tanstack/react-router'
import { useEffect } from 'react'

/** By then the first screen has what it needs. */
const AFTER_MS = 2_000

/**
 * Fetches the code of the other screens once the first one is there. They are small, and one that was not
 * fetched in time could not be gone to while the server is away.
 */
export function useScreenPreload(): void {
  const router = useRouter()
  useEffect(() => {
    const timer = setTimeout(() => {
      if (document.hidden) return
      for (const route of Object.values(router.routesById)) {
        // It is tried again, and complained about, when somebody goes there.
        Promise.resolve(router.loadRouteChunk(route)).catch(() => undefined)
      }
    }, AFTER_MS)
    return () => clearTimeout(timer)
  }, [router])
}
