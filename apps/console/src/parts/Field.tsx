import { useId, type ReactNode } from 'react'

export interface FieldProps {
  label: string
  /** Stands below: what the control is for, or what is wrong with its value. */
  hint?: string | undefined
  isWrong?: boolean
  children: (control: {
    id: string
    'aria-describedby'?: string
    'aria-invalid'?: true
  }) => ReactNode
}

/** A control with a label. The label does not enclose it, or the options of a list would be part of its name. */
export function Field({ label, hint, isWrong = false, children }: FieldProps) {
  const id = useId()
  const hintId = useId()
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {children({
        id,
        ...(hint !== undefined && { 'aria-describedby': hintId }),
        ...(isWrong && { 'aria-invalid': true }),
      })}
      {hint !== undefined && (
        <span id={hintId} className={isWrong ? 'fieldError' : 'hint'}>
          {hint}
        </span>
      )}
    </div>
  )
}
