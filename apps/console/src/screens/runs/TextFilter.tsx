import { useEffect, useRef, useState } from 'react'
import { Field } from '../../parts/Field.tsx'

export interface TextFilterProps {
  label: string
  /** Empty when it filters nothing. */
  value: string
  placeholder?: string
  /** Says what is wrong with a text; undefined for one that can filter. */
  problemOf?: (text: string) => string | undefined
  onChange: (text: string) => void
}

/** Long enough to go on typing, and short enough not to wait for. */
const SETTLE_MS = 400

/** A field that takes effect when people stop typing or leave it. A wrong text has no effect. */
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
