/** What was typed as a payload, or what is wrong with it. Empty is an empty object. */
export function parsePayload(
  text: string,
): { payload: Record<string, unknown> } | { problem: string } {
  if (text.trim() === '') return { payload: {} }
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return { payload: value as Record<string, unknown> }
    }
    return { problem: 'A payload is an object, such as {"invoiceId": "…"}.' }
  } catch (error) {
    return { problem: `This is not JSON: ${(error as Error).message}` }
  }
}
