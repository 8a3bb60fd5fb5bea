// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Protocol

/// Cuts a client's bytes into lines; knows nothing of what they say.
struct LineDecoder: NIOSingleStepByteToMessageDecoder {
    /// What comes out.
    enum InboundOut: Equatable, Sendable {
        /// A line without its line feed and without a carriage return before it.
        case line([UInt8])
        /// More bytes than a line may have. What follows cannot be trusted to begin with a line.
        case tooLong
        /// The input ended within a line.
        case unfinished
    }

    /// Longest line, bytes, without the line feed.
    let limit: Int
    /// Bytes of the buffer that hold no line feed, so that slow drops are not searched again and again.
    private var searched = 0
    private var isBroken = false

    /// A decoder for lines of at most `limit` bytes.
    init(limit: Int = ProtocolLimits().line) { self.limit = limit }

    mutating func decode(buffer: inout ByteBuffer) -> InboundOut? {
        if isBroken {
            buffer.moveReaderIndex(forwardBy: buffer.readableBytes)
            return nil
        }
        let found = buffer.readableBytesView.dropFirst(searched).firstIndex(of: 0x0A)
        let length = found.map { $0 - buffer.readerIndex }
        // One byte more for a carriage return, which does not count.
        if length ?? buffer.readableBytes > limit + 1 { return breakOff(&buffer) }
        guard let length else {
            searched = buffer.readableBytes
            return nil
        }
        searched = 0
        guard var line = buffer.readBytes(length: length) else { return nil }
        buffer.moveReaderIndex(forwardBy: 1)
        if line.last == 0x0D { line.removeLast() }
        return line.count > limit ? breakOff(&buffer) : .line(line)
    }

    mutating func decodeLast(buffer: inout ByteBuffer, seenEOF: Bool) -> InboundOut? {
        if let line = decode(buffer: &buffer) { return line }
        guard seenEOF, !isBroken, buffer.readableBytes > 0 else { return nil }
        isBroken = true
        buffer.moveReaderIndex(forwardBy: buffer.readableBytes)
        return .unfinished
    }

    private mutating func breakOff(_ buffer: inout ByteBuffer) -> InboundOut {
        isBroken = true
        buffer.moveReaderIndex(forwardBy: buffer.readableBytes)
        return .tooLong
    }
}
