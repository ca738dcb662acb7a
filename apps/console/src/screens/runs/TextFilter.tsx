import { useEffect, useRef, useState } from 'react'
import { Field } from '../../parts/Field.tsx'

export interface TextFilterProps {
  label: string
  /** Empty where nothing is filtered by it. */
  value: string
  placeholder?: string
  /** What is wrong with a text; undefined for one that can be filtered by. */
  problemOf?: (text: string) => string | undefined
  onChange: (text: string) => void
}

/** Long enough to type on, and short enough not to wait for. */
const SETTLE_MS = 400

/** Takes effect when one stops typing, or goes on. What is wrong takes none. */
export function TextFilter({ label, value, placeholder, problemOf, onChange }: TextFilterProps) {
  const [typed, setTyped] = useState<string | null>(null)
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined)
  useEffect(() => () => clearTimeout(timer.current), [])
  const text = typed ?? value
  const problem = text.trim() === '' ? undefined : problemOf?.(text)

  function take(next: string): void {
    clearTimeout(timer.current)
    if (next.trim() === '' || problemOf?.(next) === undefined) onChange(next.trim())
  }

  return (
    <Field label={label} hint={problem} isWrong={problem !== undefined}>
      {(control) => (
        <input
          {...control}
          type="text"
          value={text}
          placeholder={placeholder}
          autoComplete="off"
          spellCheck={false}
          onChange={({ target }) => {
            setTyped(target.value)
            clearTimeout(timer.current)
            timer.current = setTimeout(() => take(target.value), SETTLE_MS)
          }}
          onKeyDown={({ key }) => {
            if (key === 'Enter') take(text)
          }}
          onBlur={() => {
            if (typed === null) return
            take(typed)
            if (problem === undefined) setTyped(null)
          }}
        />
      )}
    </Field>
  )
}
