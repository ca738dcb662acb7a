import type { ConsoleSession } from '@roundsman/api/console'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useServices } from '../services/useServices.ts'
import { SESSION_PATH } from './sessionQuery.ts'
import { forgetAnswers, setSession } from './setSession.ts'

export function LogoutButton({ session }: { session: ConsoleSession }) {
  const { api } = useServices()
  const queries = useQueryClient()
  const logout = useMutation({
    mutationFn: () => api.change('DELETE', SESSION_PATH),
    onSuccess: () => {
      api.setCsrfToken(null)
      setSession(queries, { kind: 'nobody', hasExpired: false })
      forgetAnswers(queries)
    },
  })
  const { email, role } = session.user
  return (
    <button
      type="button"
      className="button isSmall isQuiet"
      data-tip={`${email}, ${role}`}
      disabled={logout.isPending}
      onClick={() => logout.mutate()}
    >
      Log out
    </button>
  )
}
