/** In the words of OpenTelemetry's conventions for messaging: its destination is our job, its message our work. */
export function messagingAttributes(operation: 'send' | 'process', jobName: string) {
  return {
    'messaging.system': 'pg-boss',
    'messaging.operation.name': operation,
    'messaging.operation.type': operation,
    'messaging.destination.name': jobName,
  }
}
