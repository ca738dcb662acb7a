import { Link, type LinkProps } from '@tanstack/react-router'
import type { ComponentProps } from 'react'

export interface ButtonProps extends Omit<ComponentProps<'button'>, 'className'> {
  /** `isQuiet` has no frame: for what stands in a line of text or changes only the view. */
  look?: 'isPrimary' | 'isDangerous' | 'isQuiet' | undefined
}

/** A button. Default of `type`: `button`. */
export function Button({ look, type = 'button', ...props }: ButtonProps) {
  return (
    <button type={type} className={look === undefined ? 'button' : `button ${look}`} {...props} />
  )
}

/** A link that looks like one. */
export function ButtonLink(props: LinkProps & { 'aria-label'?: string }) {
  return <Link className="button" {...props} />
}
