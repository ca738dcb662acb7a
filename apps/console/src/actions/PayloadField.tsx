import { Field } from '../parts/Field.tsx'

interface PayloadFieldProps {
  /** What stands in it at first. */
  initial: string
  hint: string
  /** What is wrong with what was typed; empty: nothing. */
  problem: string
  /** What the job takes; null when its schema does not say. */
  schema?: Readonly<Record<string, unknown>> | null
}

/** Takes a payload as JSON. `parsePayload` reads it from the form's `payload`. */
export function PayloadField({ initial, hint, problem, schema = null }: PayloadFieldProps) {
  return (
    <>
      <Field
        label="Payload, as JSON"
        hint={problem === '' ? hint : problem}
        isWrong={problem !== ''}
      >
        {(control) => (
          <textarea
            {...control}
            name="payload"
            rows={8}
            spellCheck={false}
            className="code"
            defaultValue={initial}
          />
        )}
      </Field>
      {schema !== null && (
        <details>
          <summary>What the job takes</summary>
          <pre className="payload" tabIndex={0}>
            {JSON.stringify(schema, null, 2)}
          </pre>
        </details>
      )}
    </>
  )
}
