// Authenticated encryption of streams of any length in constant memory: the AES-GCM-HKDF streaming format that Google
// Tink publishes (https://developers.google.com/tink/streaming-aead/aes_gcm_hkdf_streaming), by default as its template
// AES256_GCM_HKDF_1MB. The bytes:
//   header    its own length (1 byte), salt (as long as the derived key), nonce prefix (7)
//   segments  AES-GCM ciphertext and tag; the derived key is HKDF(key, salt, associated data), the nonce is
//             prefix ‖ segment number (4, big-endian) ‖ 1 for the last segment, else 0
// The first segment is shorter by the header, only the last one may be shorter than the others, and it is never empty
// behind another. No byte leaves a reader before its segment is authentic. Objects are for one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "world/byte_stream.h"
#include "world/crypto.h"

namespace lifeboat {

struct StreamFormat {
    std::size_t segment = std::size_t{1} << 20;  // bytes of ciphertext, tag (and header) included
    std::size_t derived_key = 32;                // bytes: 16 or 32
    HashName hash = HashName::sha256;            // of HKDF

    constexpr std::size_t header_size() const { return 1 + derived_key + 7; }
    // Bytes of ciphertext in a full segment, bytes of plain text in it, and where that begins.
    constexpr std::size_t sealed_room(std::uint64_t index) const { return segment - (index == 0 ? header_size() : 0); }
    constexpr std::size_t room(std::uint64_t index) const { return sealed_room(index) - AesGcm::tag_size; }
    constexpr std::uint64_t plain_offset(std::uint64_t index) const {
        return index == 0 ? 0 : room(0) + (index - 1) * room(1);
    }
    constexpr std::uint64_t sealed_offset(std::uint64_t index) const {
        return index == 0 ? header_size() : index * segment;
    }
    // Which segment holds the byte at `offset` of the plain text.
    constexpr std::uint64_t segment_of(std::uint64_t offset) const {
        return offset < room(0) ? 0 : 1 + (offset - room(0)) / room(1);
    }
};

// Of a whole stream. Throws Error{limit_exceeded} for what needs more than 2^32 segments.
std::uint64_t ciphertext_size(std::uint64_t plain, const StreamFormat& format = {});
// nullopt: no whole stream has that size.
std::optional<std::uint64_t> plain_size(std::uint64_t ciphertext, const StreamFormat& format = {});

// A header with a new salt and prefix.
std::vector<std::byte> new_stream_header(const StreamFormat& format = {});

// The segments of one stream, each by itself.
class SegmentCipher {
  public:
    // `key` has at least the size of the derived key. Throws Error{corrupt} for what is no header of this format.
    SegmentCipher(const KeyMaterial& key, std::string_view associated, std::span<const std::byte> header,
                  const StreamFormat& format);

    // As AesGcm. Sealing two different texts as one segment of one stream gives both away: never do.
    void seal(std::uint64_t index, bool last, std::span<const std::byte> plain, std::span<std::byte> sealed);
    [[nodiscard]] bool open(std::uint64_t index, bool last, std::span<const std::byte> sealed,
                            std::span<std::byte> plain);

  private:
    AesGcm::Nonce nonce(std::uint64_t index, bool last) const;

    AesGcm::Nonce prefix_{};
    AesGcm cipher_;
};

class StreamEncryptor {
  public:
    // `header` is another one than new_stream_header gives only where a published stream is made again.
    StreamEncryptor(const KeyMaterial& key, std::string_view associated, ByteSink out, const StreamFormat& format = {},
                    std::vector<std::byte> header = {});

    void write(std::span<const std::byte> plain);
    // Without it the stream has no end, and no reader accepts it.
    void finish();

  private:
    void seal(std::span<const std::byte> plain, bool last);

    StreamFormat format_;
    ByteSink out_;
    std::vector<std::byte> header_;
    SegmentCipher cipher_;
    std::vector<std::byte> pending_;
    std::vector<std::byte> sealed_;
    std::uint64_t index_ = 0;
    bool finished_ = false;
};

struct StreamOrigin {
    std::string where;          // each error begins with it: "object 'shop/x' in store 'nas'"
    bool key_is_known = false;  // that the key is the right one has been shown in another way
    StreamFormat format = {};
};

// What can be told of a stream that is refused: Error{denied} when the very first segment is not authentic (another key
// or associated data, or a damaged beginning: the bytes do not tell) and the key is not known to be right,
// Error{corrupt} for everything else. Cut at a border of segments and appended to are told apart from damage.
class StreamDecryptor {
  public:
    StreamDecryptor(KeyMaterial key, std::string associated, ByteSink out, StreamOrigin origin);

    void write(std::span<const std::byte> sealed);
    // The stream is whole when this returns; before, what went out is authentic but perhaps not all.
    void finish();

  private:
    void open(std::span<const std::byte> sealed, bool last);

    KeyMaterial key_;
    std::string associated_;
    ByteSink out_;
    StreamOrigin origin_;
    std::optional<SegmentCipher> cipher_;  // once the header is there
    std::vector<std::byte> pending_;
    std::vector<std::byte> plain_;
    std::uint64_t index_ = 0;
    bool ended_ = false;  // finished or refused
};

struct ByteRange {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    bool operator==(const ByteRange&) const = default;
};
// Puts exactly that range of the stream into the sink.
using RangeReader = std::function<void(const ByteRange& range, const ByteSink& sink)>;

// Random access to a stream of a known size. What is read is authentic and in its place; that the stream ends where
// `size` says is certain only once its last byte has been read.
class SeekableDecryptor {
  public:
    // `header`: the first header_size() bytes; `size`: of the whole stream. Throws Error{corrupt} when they are no
    // stream's.
    SeekableDecryptor(const KeyMaterial& key, std::string_view associated, std::span<const std::byte> header,
                      std::uint64_t size, StreamOrigin origin);

    std::uint64_t size() const { return plain_size_; }
    // Whole segments: the part of the stream that a read of this plain range needs. Throws Error{incomplete} for a
    // range that goes beyond the end; empty for an empty range.
    ByteRange needed(const ByteRange& plain) const;
    // Asks once for what is needed. Throws as StreamDecryptor, Error{incomplete} when it gets too little.
    void read(const ByteRange& plain, const RangeReader& stream, const ByteSink& out);

  private:
    StreamOrigin origin_;
    SegmentCipher cipher_;
    std::uint64_t sealed_size_ = 0;
    std::uint64_t plain_size_ = 0;
    std::uint64_t last_ = 0;
};

}  // namespace lifeboat
