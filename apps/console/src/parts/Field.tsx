import { useId, type ComponentProps, type ReactNode } from 'react'

interface Labels {
  label: string
  /** Stands below: what the control is for, or what is wrong with its value. */
  hint?: string | undefined
  isWrong?: boolean
}

export interface FieldProps extends Labels {
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

/** A field to type in. */
export function InputField({
  label,
  hint,
  isWrong = false,
  ...props
}: Labels & ComponentProps<'input'>) {
  return (
    <Field label={label} hint={hint} isWrong={isWrong}>
      {(control) => <input autoComplete="off" {...control} {...props} />}
    </Field>
  )
}

/** A field to choose in. */
export function SelectField({
  label,
  hint,
  isWrong = false,
  ...props
}: Labels & ComponentProps<'select'>) {
  return (
    <Field label={label} hint={hint} isWrong={isWrong}>
      {(control) => <select {...control} {...props} />}
    </Field>
  )
}
