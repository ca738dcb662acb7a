import { InputField, SelectField } from '../parts/Field.tsx'

const DELAYS = [
  ['10 minutes', 600_000],
  ['1 hour', 3_600_000],
  ['6 hours', 21_600_000],
  ['1 day', 86_400_000],
  ['1 week', 604_800_000],
] as const

/** By how much to postpone, or which priority. */
export function ValueField({ of, isFixed }: { of: 'delay' | 'priority'; isFixed: boolean }) {
  if (of === 'delay') {
    return (
      <SelectField label="Not before" name="value" defaultValue={3_600_000} disabled={isFixed}>
        {DELAYS.map(([words, ms]) => (
          <option key={ms} value={ms}>
            {words} from now
          </option>
        ))}
      </SelectField>
    )
  }
  return (
    <InputField
      label="Priority"
      hint="A whole number; the higher, the sooner."
      name="value"
      type="number"
      step={1}
      min={-1_000_000}
      max={1_000_000}
      defaultValue={10}
      required
      readOnly={isFixed}
    />
  )
}
