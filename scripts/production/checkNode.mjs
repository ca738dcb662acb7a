// A production install has no Node of its own, so from here on the machine's runs everything. Plain JavaScript: a Node
// that can't read TypeScript has to be able to say so.
const NEEDED = 24

const { node } = process.versions
if (Number(node.split('.')[0]) < NEEDED) {
  process.stderr.write(
    `Node ${node} is too old: API, worker and their commands need Node ${NEEDED} or newer. Install it, put it first on ` +
      'the PATH, and run pnpm install:production again\n',
  )
  process.exitCode = 1
}
