import { useQueryClient } from '@tanstack/react-query'
import { useEffect } from 'react'
import { useServices } from '../services/useServices.ts'
import { Brand } from '../shell/Brand.tsx'
import { SESSION_PATH } from './sessionQuery.ts'
import { setSession } from './setSession.ts'

/** For those who are known, and may not look in here. */
export function RefusalScreen({ detail }: { detail: string }) {
  const { api } = useServices()
  const queries = useQueryClient()

  useEffect(() => {
    document.title = 'Not allowed · Roundsman'
  }, [])

  async function leave(): Promise<void> {
    // There may be no session to end; the log-in screen is where one wants to go in any case.
    await api.change('DELETE', SESSION_PATH).catch(() => undefined)
    setSession(queries, { kind: 'nobody', hasExpired: false })
  }

  return (
    <main className="gate">
      <div className="gateCard">
        <Brand />
        <h1>This console is not for you</h1>
        <p>
          Only administrators and owners may use it. Ask one of them if you need something from it.
        </p>
        <p className="muted small">{detail}</p>
        <button type="button" className="button" onClick={() => void leave()}>
          Log in as somebody else
        </button>
      </div>
    </main>
  )
}
