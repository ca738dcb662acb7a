/**
 * Span attributes by OpenTelemetry's conventions for messaging, whose destination is our job and whose message our work.
 */
export function messagingAttributes(operation: 'send' | 'process', jobName: string) {
  return {
    'messaging.system': 'roundsman',
    'messaging.operation.name': operation,
    'messaging.operation.type': operation,
    'messaging.destination.name': jobName,
  }
}
