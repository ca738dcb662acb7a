// Loaded before a program of the pages: it imports what the compiler makes of its sources, and runs from these.
import { registerHooks } from 'node:module'

registerHooks({
  resolve(specifier, context, nextResolve) {
    const isOfProgram = specifier.startsWith('.') && !context.parentURL?.includes('/node_modules/')
    return nextResolve(isOfProgram ? specifier.replace(/\.js$/, '.ts') : specifier, context)
  },
})
