import { registerHooks } from 'node:module'

const CONDITION = '@roundsman/source'

/**
 * Makes the imports that follow take our packages from their sources, as `--conditions` on the command
 * line would, so that scripts need no build and nobody has to remember the flag. What was imported
 * before stays as it is: import dynamically after this call.
 */
export function resolveFromSource(): void {
  if (process.execArgv.some((argument) => argument.includes(CONDITION))) return
  registerHooks({
    resolve: (specifier, context, nextResolve) =>
      nextResolve(specifier, { ...context, conditions: [CONDITION, ...context.conditions] }),
  })
}
