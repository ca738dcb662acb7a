import type { ConsoleSession } from '@roundsman/admin/contract'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useEffect, type SubmitEvent } from 'react'
import { ApiError, asApiError } from '../api/apiError.ts'
import { Button } from '../parts/Button.tsx'
import { InputField } from '../parts/Field.tsx'
import { useServices } from '../services/useServices.ts'
import { Brand } from '../shell/Brand.tsx'
import { memberOf, SESSION_PATH } from './sessionQuery.ts'
import { forgetAnswers, setSession } from './setSession.ts'

interface Credentials {
  email: string
  password: string
}

export function LoginScreen(props: { hasExpired: boolean }) {
  const { settings } = useServices()

  useEffect(() => {
    document.title = 'Log in · Roundsman'
  }, [])

  return settings.hasSessions ? <LoginForm {...props} /> : <LoginElsewhere {...props} />
}

/** Shown when the product has its own log-in, to which it links. */
function LoginElsewhere({ hasExpired }: { hasExpired: boolean }) {
  const { loginUrl } = useServices().settings
  return (
    <main className="gate">
      <div className="gateCard">
        <Brand />
        <h1>Log in first</h1>
        <p role="status">
          {hasExpired ? 'Your log-in has ended. ' : ''}
          {loginUrl === ''
            ? 'Log in to the product that this console belongs to, then load this page again.'
            : 'Log in, then come back to this page.'}
        </p>
        {loginUrl !== '' && (
          <a className="button isPrimary" href={loginUrl}>
            Log in
          </a>
        )}
      </div>
    </main>
  )
}

function LoginForm({ hasExpired }: { hasExpired: boolean }) {
  const { api } = useServices()
  const queries = useQueryClient()
  const login = useMutation({
    meta: { isLogin: true },
    mutationFn: (credentials: Credentials) =>
      api.change<ConsoleSession>('POST', SESSION_PATH, credentials),
    onSuccess: (session) => {
      api.setCsrfToken(session.csrfToken)
      forgetAnswers(queries)
      setSession(queries, { kind: 'member', member: memberOf(session) })
    },
    onError: (error) => {
      if (error instanceof ApiError && error.kind === 'forbidden') {
        setSession(queries, { kind: 'refused', detail: error.detail })
      }
    },
  })

  function submit(event: SubmitEvent<HTMLFormElement>): void {
    event.preventDefault()
    const form = new FormData(event.currentTarget)
    login.mutate({ email: text(form.get('email')), password: text(form.get('password')) })
  }

  return (
    <main className="gate">
      <form className="gateCard" onSubmit={submit} aria-labelledby="loginTitle">
        <Brand />
        <h1 id="loginTitle">Log in</h1>
        {hasExpired && (
          <p role="status" className="note">
            Your log-in has ended. Log in again to go on where you were.
          </p>
        )}
        <InputField
          label="E-mail"
          name="email"
          type="email"
          autoComplete="username"
          required
          maxLength={254}
        />
        <InputField
          label="Password"
          name="password"
          type="password"
          autoComplete="current-password"
          required
          maxLength={200}
        />
        <div role="alert">
          {login.isError && <p className="fieldError">{explain(login.error)}</p>}
        </div>
        <Button type="submit" look="isPrimary" disabled={login.isPending}>
          {login.isPending ? 'Logging in…' : 'Log in'}
        </Button>
        <p className="muted small">For administrators and owners.</p>
      </form>
    </main>
  )
}

function explain(error: unknown): string {
  const { kind, detail } = asApiError(error)
  return kind === 'unauthorized' ? 'E-mail or password is wrong.' : detail
}

function text(value: FormDataEntryValue | null): string {
  return typeof value === 'string' ? value : ''
}
