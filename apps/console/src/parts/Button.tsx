import type { ComponentProps } from 'react'

export interface ButtonProps extends Omit<ComponentProps<'button'>, 'type' | 'className'> {
  look?: 'isPrimary' | 'isDangerous' | 'isQuiet' | undefined
}

/** A small button. */
export function Button({ look, ...props }: ButtonProps) {
  const className = look === undefined ? 'button isSmall' : `button isSmall ${look}`
  return <button type="button" className={className} {...props} />
}
