import { Field } from '../parts/Field.tsx'

const MAX_REASON_LENGTH = 500
const NOT_BLANK = '.*\\S.*'

/** Asks why; `readReason` reads the answer. */
export function ReasonField(props: { isNeeded?: boolean; isFixed?: boolean }) {
  const { isNeeded = true, isFixed = false } = props
  return (
    <Field label={isNeeded ? 'Reason' : 'Reason, if there is one'} hint="Recorded with your name.">
      {(control) => (
        <input
          {...control}
          name="reason"
          {...(isNeeded && { required: true, pattern: NOT_BLANK })}
          maxLength={MAX_REASON_LENGTH}
          autoComplete="off"
          readOnly={isFixed}
        />
      )}
    </Field>
  )
}

/** The reason in a form with the field; empty when there is none. */
export function readReason(form: FormData): string {
  const reason = form.get('reason')
  return typeof reason === 'string' ? reason.trim() : ''
}
