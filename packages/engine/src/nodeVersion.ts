/** The same as `engines` in package.json, which a bundle does not contain. */
const NEEDED = '22.12.0'

const { node, bun, deno } = process.versions as NodeJS.ProcessVersions & { deno?: string }
if (!bun && !deno && node.localeCompare(NEEDED, 'en', { numeric: true }) < 0)
  throw new Error(`Roundsman needs Node ${NEEDED} or newer, and this is ${node}`)
