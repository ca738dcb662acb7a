import { ChildProcess } from 'node:child_process'

/** Starting a process takes seconds: such test files are not among the quick ones, and say so in their first line. */
Object.assign(ChildProcess.prototype, {
  spawn() {
    throw new Error(
      'This test starts a process or a browser. Begin its file with the line "// Not quick: starts processes."',
    )
  },
})
