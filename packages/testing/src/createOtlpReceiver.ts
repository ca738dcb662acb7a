import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { gunzipSync } from 'node:zlib'
import { decodeProtobuf, type ProtobufField } from './decodeProtobuf.ts'

/** What tests read of a span. Ids are lower-case hexadecimal digits. */
export interface ReceivedSpan {
  service: string
  traceId: string
  spanId: string
  /** Null for the first span of a trace. */
  parentSpanId: string | null
  name: string
  kind: (typeof SPAN_KINDS)[number]
  attributes: Record<string, string | number | boolean>
  links: { traceId: string; spanId: string }[]
  isError: boolean
}

export interface OtlpReceiver {
  /** The value for OTEL_EXPORTER_OTLP_ENDPOINT. */
  url: string
  /** In the order of arrival. */
  spans: ReceivedSpan[]
  close(): void
}

const SPAN_KINDS = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer'] as const
const STATUS_ERROR = 2

/** Receives spans as an OpenTelemetry collector does: OTLP over HTTP, in protobuf. */
export async function createOtlpReceiver(): Promise<OtlpReceiver> {
  const spans: ReceivedSpan[] = []
  const server = createServer((request, response) => {
    void buffer(request).then((body) => {
      if (request.method !== 'POST' || request.url !== '/v1/traces') {
        return response.writeHead(404).end()
      }
      if (request.headers['content-type'] !== 'application/x-protobuf') {
        return response.writeHead(415).end()
      }
      const isZipped = request.headers['content-encoding'] === 'gzip'
      spans.push(...decodeTraces(isZipped ? gunzipSync(body) : body))
      // An empty ExportTraceServiceResponse says that all were taken.
      return response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    close() {
      server.closeAllConnections()
      server.close()
    },
  }
}

/** Reads an ExportTraceServiceRequest. The numbers are those of opentelemetry-proto's fields. */
function decodeTraces(body: Buffer): ReceivedSpan[] {
  return messages(body, 1).flatMap((resourceSpans) => {
    const [resource] = messages(resourceSpans, 1)
    const service = String(resource && attributesOf(messages(resource, 1))['service.name'])
    return messages(resourceSpans, 2)
      .flatMap((scopeSpans) => messages(scopeSpans, 2))
      .map((span) => decodeSpan(service, span))
  })
}

function decodeSpan(service: string, span: Buffer): ReceivedSpan {
  const [status] = messages(span, 15)
  return {
    service,
    traceId: hex(span, 1) ?? '',
    spanId: hex(span, 2) ?? '',
    parentSpanId: hex(span, 4),
    name: text(span, 5),
    kind: SPAN_KINDS[number(span, 6)] ?? 'unspecified',
    attributes: attributesOf(messages(span, 9)),
    links: messages(span, 13).map((link) => ({
      traceId: hex(link, 1) ?? '',
      spanId: hex(link, 2) ?? '',
    })),
    isError: status !== undefined && number(status, 3) === STATUS_ERROR,
  }
}

function attributesOf(pairs: Buffer[]): ReceivedSpan['attributes'] {
  return Object.fromEntries(
    pairs.map((pair) => {
      const [value] = messages(pair, 2)
      return [text(pair, 1), value === undefined ? '' : decodeValue(value)]
    }),
  )
}

function decodeValue(value: Buffer): string | number | boolean {
  const [field] = decodeProtobuf(value)
  switch (field?.number) {
    case 2:
      return field.value === 1n
    case 3:
      return Number(field.value)
    case 4:
      return (field.value as Buffer).readDoubleLE()
    default:
      return field?.value.toString() ?? ''
  }
}

function fields(message: Buffer, wanted: number): ProtobufField['value'][] {
  return decodeProtobuf(message).flatMap(({ number: found, value }) =>
    found === wanted ? [value] : [],
  )
}

function messages(message: Buffer, wanted: number): Buffer[] {
  return fields(message, wanted).filter((value) => Buffer.isBuffer(value))
}

function text(message: Buffer, wanted: number): string {
  return messages(message, wanted)[0]?.toString() ?? ''
}

function hex(message: Buffer, wanted: number): string | null {
  return messages(message, wanted)[0]?.toString('hex') || null
}

function number(message: Buffer, wanted: number): number {
  return Number(fields(message, wanted)[0] ?? 0)
}
