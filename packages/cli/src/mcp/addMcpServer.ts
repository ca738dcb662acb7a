/**
 * Returns the text of a product's `.mcp.json` with this server, or null when the file is no JSON object. Other servers, and
 * one that is called `roundsman` already, do not change.
 *
 * @param text null where there is no file
 * @param call how the product calls its packages' commands: `npx roundsman mcp`
 */
export function addMcpServer(text: string | null, call: string): string | null {
  const found = parse(text ?? '{}')
  if (found === null) return null
  const { mcpServers = {} } = found
  if ('roundsman' in (mcpServers as object)) return text
  const [command, ...args] = call.split(' ')
  const servers = { ...(mcpServers as object), roundsman: { command, args } }
  return `${JSON.stringify({ ...found, mcpServers: servers }, null, 2)}\n`
}

function parse(text: string): Record<string, unknown> | null {
  try {
    const found: unknown = JSON.parse(text)
    const isObject = typeof found === 'object' && found !== null && !Array.isArray(found)
    return isObject ? (found as Record<string, unknown>) : null
  } catch {
    return null
  }
}
