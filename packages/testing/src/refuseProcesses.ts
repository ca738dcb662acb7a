import { ChildProcess } from 'node:child_process'

/** Whoever starts a process takes seconds: such files are not among the quick ones, and say so. */
Object.assign(ChildProcess.prototype, {
  spawn() {
    throw new Error(
      'This test starts a process or a browser. Begin its file with the line "// Not quick: starts processes."',
    )
  },
})
