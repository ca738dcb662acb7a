// Loaded before a program of ours: Node then keeps compiled code, which halves the time that loading it takes. Of this
// process alone: in the environment it would be that of everything that is started, and measured, from here.
import { enableCompileCache } from 'node:module'
import { join } from 'node:path'

// It is in vain where the folder cannot be written to, and that is all.
enableCompileCache(join(import.meta.dirname, '../node_modules/.cache/compile'))
