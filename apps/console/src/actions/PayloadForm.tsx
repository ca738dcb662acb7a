import { useState } from 'react'
import { Button } from '../parts/Button.tsx'
import { Field } from '../parts/Field.tsx'
import { payloadSkeleton, type FieldProblems, type PayloadField } from './payloadFields.ts'

export interface PayloadFormProps {
  /** Null when the payload can only be typed as JSON. */
  fields: readonly PayloadField[] | null
  schema: Readonly<Record<string, unknown>> | null
  problems: FieldProblems
}

/** The name of the control that holds the whole payload as JSON, and the beginning of a field's name. */
export const WHOLE = 'payload'
export const FIELD = 'payload.'

/** Controls for a payload: a field for each part, or one for JSON. */
export function PayloadForm({ fields, schema, problems }: PayloadFormProps) {
  const [isJson, setIsJson] = useState(fields === null)
  if (fields === null || isJson) {
    const said = Object.entries(problems).map(([name, problem]) =>
      name === '' ? problem : `${name}: ${problem}`,
    )
    return (
      <Field
        label="Payload, as JSON"
        hint={
          said.length > 0 ? said.join('; ') : `${whyJson(fields, schema)}Payloads are not shown.`
        }
        isWrong={said.length > 0}
      >
        {(control) => (
          <textarea
            {...control}
            name={WHOLE}
            rows={6}
            spellCheck={false}
            className="code"
            defaultValue={payloadSkeleton(schema)}
          />
        )}
      </Field>
    )
  }
  const { '': whole } = problems
  return (
    <fieldset className="payloadFields">
      <legend>Payload</legend>
      {whole !== undefined && <p className="fieldError">{whole}</p>}
      {fields.map((field) => {
        const problem = problems[field.name]
        return (
          <Field
            key={field.name}
            label={field.name}
            hint={problem ?? (field.hint === '' ? undefined : field.hint)}
            isWrong={problem !== undefined}
          >
            {(control) => (
              <Control field={field} control={{ ...control, name: FIELD + field.name }} />
            )}
          </Field>
        )
      })}
      <Button onClick={() => setIsJson(true)}>As JSON</Button>
    </fieldset>
  )
}

function whyJson(fields: PayloadFormProps['fields'], schema: PayloadFormProps['schema']): string {
  if (fields !== null) return ''
  return schema === null
    ? 'The job’s schema does not say what it takes, so there is no form. '
    : 'What the job takes is more than a form can show. '
}

/** The control for one field, by its kind. */
function Control({
  field,
  control,
}: {
  field: PayloadField
  control: { id: string; name: string }
}) {
  const { kind, choices, initial, isRequired } = field
  switch (kind) {
    case 'text':
      return <input {...control} defaultValue={initial} autoComplete="off" spellCheck={false} />
    case 'number':
      return <input {...control} defaultValue={initial} autoComplete="off" inputMode="decimal" />
    case 'boolean':
    case 'choice':
      return (
        <select {...control} defaultValue={initial}>
          {!(isRequired && choices.length === 1) && <option value="">–</option>}
          {choices.map((choice) => (
            <option key={choice} value={choice}>
              {choice.replaceAll(/^"|"$/g, '')}
            </option>
          ))}
        </select>
      )
    case 'json':
      return (
        <textarea
          {...control}
          defaultValue={initial}
          rows={3}
          spellCheck={false}
          className="code"
        />
      )
    default:
      return kind satisfies never
  }
}
