import { useId, type ComponentProps } from 'react'

/** A list to choose from, with its label beside it. */
export function InlineSelect({ label, ...props }: { label: string } & ComponentProps<'select'>) {
  const id = useId()
  return (
    <span className="inlineField">
      <label className="muted" htmlFor={id}>
        {label}
      </label>
      <select id={id} {...props} />
    </span>
  )
}
