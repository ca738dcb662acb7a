import { useState } from 'react'
import { useServices } from '../services/useServices.ts'
import { readInstant, writeInstant } from '../time/readInstant.ts'
import { Field } from './Field.tsx'

export interface InstantFieldProps {
  label: string
  /** ISO 8601 in UTC. */
  value: string | undefined
  onChange: (instant: string | undefined) => void
}

/**
 * A field for an instant, as ISO 8601 or in words, and not in the format of the browser's own field. It takes effect
 * with Enter, or when people leave it.
 */
export function InstantField({ label, value, onChange }: InstantFieldProps) {
  const { clock } = useServices()
  const [draft, setDraft] = useState<string | null>(null)
  const [isWrong, setWrong] = useState(false)

  function take(): void {
    if (draft === null) return
    const instant = draft.trim() === '' ? undefined : readInstant(draft, clock.now())
    setWrong(instant === null)
    if (instant === null) return
    setDraft(null)
    onChange(instant)
  }

  return (
    <Field
      label={label}
      isWrong={isWrong}
      hint={isWrong ? 'Such as 2026-11-24 09:00, yesterday, or 3 h ago' : undefined}
    >
      {(control) => (
        <input
          {...control}
          type="text"
          value={draft ?? writeInstant(value)}
          placeholder="YYYY-MM-DD hh:mm"
          autoComplete="off"
          maxLength={40}
          onChange={({ target }) => setDraft(target.value)}
          onBlur={take}
          onKeyDown={({ key }) => key === 'Enter' && take()}
        />
      )}
    </Field>
  )
}
