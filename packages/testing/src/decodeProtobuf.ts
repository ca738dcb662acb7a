/** A field of a message: a number for a varint, bytes for anything else. Only a schema says what the bytes mean. */
export interface ProtobufField {
  number: number
  value: bigint | Buffer
}

/**
 * Returns the fields of a protobuf message, in their order.
 * @throws RangeError when it ends inside a field, or has one of a wire type that is out of use
 */
export function decodeProtobuf(message: Buffer): ProtobufField[] {
  const fields: ProtobufField[] = []
  let offset = 0
  while (offset < message.length) {
    const tag = Number(varint())
    fields.push({ number: tag >>> 3, value: read(tag & 7) })
  }
  return fields

  function read(wireType: number): bigint | Buffer {
    switch (wireType) {
      case 0:
        return varint()
      case 1:
        return bytes(8)
      case 2:
        return bytes(Number(varint()))
      case 5:
        return bytes(4)
      default:
        throw new RangeError(`Wire type ${wireType} at byte ${offset} is not one`)
    }
  }

  function varint(): bigint {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = message.readUInt8(offset++)
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
  }

  function bytes(length: number): Buffer {
    if (offset + length > message.length) throw new RangeError('The message ends within a field')
    offset += length
    return message.subarray(offset - length, offset)
  }
}
