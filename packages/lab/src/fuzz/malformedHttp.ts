/** Bytes that are not quite HTTP, for a bare connection: no HTTP client would send them. */
export const MALFORMED_HTTP: Readonly<Record<string, string>> = {
  noHost: 'GET /health/live HTTP/1.1\r\n\r\n',
  http10: 'GET /health/live HTTP/1.0\r\n\r\n',
  http09: 'GET /health/live\r\n',
  http2Preface: 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  http3: 'GET / HTTP/3.7\r\nhost: a\r\n\r\n',
  unknownMethod: 'FETCH / HTTP/1.1\r\nhost: a\r\n\r\n',
  lowerCaseMethod: 'get / HTTP/1.1\r\nhost: a\r\n\r\n',
  absoluteAddress:
    'GET http://elsewhere.example.com/health/live HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n',
  asterisk: 'OPTIONS * HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n',
  noSlash: 'GET health HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n',
  emptyAddress: 'GET  HTTP/1.1\r\nhost: a\r\n\r\n',
  doubleSlash: 'GET //api//jobs HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n',
  dots: 'GET /console/../../../etc/passwd HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n',
  encodedDots:
    'GET /docs/static/%2e%2e%2f%2e%2e%2fpackage.json HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n',
  fragment: 'GET /health/live#x HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n',
  nulInAddress: 'GET /health/\0live HTTP/1.1\r\nhost: a\r\n\r\n',
  bytesInAddress: 'GET /\u00ff\u00fe HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n',
  longAddress: `GET /${'x'.repeat(20_000)} HTTP/1.1\r\nhost: a\r\n\r\n`,
  longHeader: `GET / HTTP/1.1\r\nhost: a\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`,
  manyHeaders: `GET / HTTP/1.1\r\nhost: a\r\n${'x: y\r\n'.repeat(2_500)}\r\n`,
  nulInHeader: 'GET / HTTP/1.1\r\nhost: a\r\nx: a\0b\r\n\r\n',
  spaceInHeaderName: 'GET / HTTP/1.1\r\nhost: a\r\nx y: z\r\n\r\n',
  headerWithoutColon: 'GET / HTTP/1.1\r\nhost: a\r\nxyz\r\n\r\n',
  foldedHeader: 'GET / HTTP/1.1\r\nhost: a\r\nx: y\r\n z\r\nconnection: close\r\n\r\n',
  bareLineFeeds: 'GET / HTTP/1.1\nhost: a\nconnection: close\n\n',
  twoHosts: 'GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\nconnection: close\r\n\r\n',
  badLength: 'POST /api/auth/login HTTP/1.1\r\nhost: a\r\ncontent-length: abc\r\n\r\n{}',
  negativeLength: 'POST /api/auth/login HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n{}',
  hugeLength:
    'POST /api/auth/login HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 99999999999999999999\r\n\r\n{}',
  tooLargeLength:
    'POST /api/auth/login HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 9999999999\r\n\r\n{}',
  twoLengths:
    'POST /api/auth/login HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}x',
  lengthAndChunks:
    'POST /api/auth/login HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
  shortBody:
    'POST /api/auth/login HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 200\r\n\r\n{}',
  badChunk:
    'POST /api/auth/login HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n',
  shortChunks:
    'POST /api/auth/login HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n',
  unknownTransfer: 'POST /api/auth/login HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\n{}',
  bodyOfGet:
    'GET /health/live HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n{}',
  pipelined:
    'GET /health/live HTTP/1.1\r\nhost: a\r\n\r\nGET /nowhere HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n',
  expectation:
    'POST /api/auth/login HTTP/1.1\r\nhost: a\r\nexpect: teapot\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}',
  upgrade:
    'GET /health/live HTTP/1.1\r\nhost: a\r\nconnection: upgrade, close\r\nupgrade: websocket\r\n\r\n',
  tls: '\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003',
  garbage: '\u0000\u00ff\u0001\r\n\r\n',
  nothing: '',
}
