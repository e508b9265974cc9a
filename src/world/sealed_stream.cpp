#include "world/sealed_stream.h"

#include <algorithm>
#include <limits>

#include "base/error.h"

namespace lifeboat {

namespace {

constexpr std::uint64_t most_segments = std::uint64_t{1} << 32;
constexpr std::size_t prefix_size = 7;

std::span<const std::uint8_t> as_octets(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()};
}

KeyMaterial derived_key(const KeyMaterial& key, std::string_view associated, std::span<const std::byte> header,
                        const StreamFormat& format) {
    if (header.size() != format.header_size() || std::to_integer<std::size_t>(header[0]) != format.header_size())
        throw Error{ErrorCode::corrupt, "the header of an encrypted stream is damaged"};
    if (key.size() < format.derived_key)
        throw Error{ErrorCode::internal, "a key of " + std::to_string(key.size()) + " bytes is too short"};
    return hkdf(format.hash, key.bytes(), as_octets(header.subspan(1, format.derived_key)), associated,
                format.derived_key);
}

std::string place_of(std::uint64_t index, std::size_t size, const StreamFormat& format) {
    const std::uint64_t begin = format.sealed_offset(index);
    return "segment " + std::to_string(index) + " of the encrypted stream (its bytes " + std::to_string(begin) +
           " to " + std::to_string(begin + size) + ")";
}

constexpr std::string_view other_copy = "Use another copy of it.";

// Why a segment that is not authentic is refused, as far as that can be told. `scratch` holds a segment.
Error refusal(SegmentCipher& cipher, std::uint64_t index, bool last, std::span<const std::byte> sealed,
              std::span<std::byte> scratch, const StreamOrigin& origin) {
    const std::string& where = origin.where;
    const StreamFormat& format = origin.format;
    const bool other_end = cipher.open(index, !last, sealed, scratch);
    std::fill(scratch.begin(), scratch.end(), std::byte{0});  // authentic, yet not where it stands: nobody's to see
    if (other_end && last)
        return Error{ErrorCode::corrupt,
                     where + ": the encrypted stream was cut behind " + place_of(index, sealed.size(), format),
                     std::string(other_copy)};
    if (other_end)
        return Error{ErrorCode::corrupt,
                     where + ": bytes were appended to the encrypted stream, which ends with " +
                         place_of(index, sealed.size(), format),
                     std::string(other_copy)};
    if (index == 0 && !origin.key_is_known)
        return Error{ErrorCode::denied, where + ": it was encrypted with another key, or its beginning is damaged",
                     "Give the key that it was encrypted with; where that is the one, use another copy."};
    return Error{ErrorCode::corrupt,
                 where + ": " + place_of(index, sealed.size(), format) + " is damaged, cut or not in its place",
                 std::string(other_copy)};
}

SegmentCipher cipher_of(const KeyMaterial& key, std::string_view associated, std::span<const std::byte> header,
                        const StreamOrigin& origin) {
    try {
        return SegmentCipher(key, associated, header, origin.format);
    } catch (Error& error) {
        error.message = origin.where + ": " + error.message;
        throw;
    }
}

}  // namespace

std::uint64_t ciphertext_size(std::uint64_t plain, const StreamFormat& format) {
    const std::uint64_t segments = plain == 0 ? 1 : format.segment_of(plain - 1) + 1;
    if (segments > most_segments) throw Error{ErrorCode::limit_exceeded, "too much to be encrypted in one stream"};
    return format.header_size() + plain + segments * AesGcm::tag_size;
}

std::optional<std::uint64_t> plain_size(std::uint64_t ciphertext, const StreamFormat& format) {
    const std::uint64_t overhead = format.header_size() + AesGcm::tag_size;
    if (ciphertext < overhead) return std::nullopt;
    const std::uint64_t segments = (ciphertext - 1) / format.segment + 1;
    const std::uint64_t last = ciphertext - (segments - 1) * format.segment;
    if (segments > most_segments || (segments > 1 && last <= AesGcm::tag_size)) return std::nullopt;
    return ciphertext - format.header_size() - segments * AesGcm::tag_size;
}

std::vector<std::byte> new_stream_header(const StreamFormat& format) {
    std::vector<std::byte> header(format.header_size());
    fill_random({reinterpret_cast<std::uint8_t*>(header.data()), header.size()});
    header[0] = static_cast<std::byte>(header.size());
    return header;
}

SegmentCipher::SegmentCipher(const KeyMaterial& key, std::string_view associated, std::span<const std::byte> header,
                             const StreamFormat& format)
    : cipher_(derived_key(key, associated, header, format)) {
    const auto prefix = as_octets(header).last(prefix_size);
    std::copy(prefix.begin(), prefix.end(), prefix_.begin());
}

AesGcm::Nonce SegmentCipher::nonce(std::uint64_t index, bool last) const {
    if (index >= most_segments) throw Error{ErrorCode::limit_exceeded, "an encrypted stream has too many segments"};
    AesGcm::Nonce nonce = prefix_;
    for (std::size_t byte = 0; byte < 4; ++byte)
        nonce[prefix_size + byte] = static_cast<std::uint8_t>(index >> (24 - 8 * byte));
    nonce.back() = last ? 1 : 0;
    return nonce;
}

void SegmentCipher::seal(std::uint64_t index, bool last, std::span<const std::byte> plain,
                         std::span<std::byte> sealed) {
    cipher_.seal(nonce(index, last), plain, sealed);
}

bool SegmentCipher::open(std::uint64_t index, bool last, std::span<const std::byte> sealed,
                         std::span<std::byte> plain) {
    return cipher_.open(nonce(index, last), sealed, plain);
}

StreamEncryptor::StreamEncryptor(const KeyMaterial& key, std::string_view associated, ByteSink out,
                                 const StreamFormat& format, std::vector<std::byte> header)
    : format_(format),
      out_(std::move(out)),
      header_(header.empty() ? new_stream_header(format) : std::move(header)),
      cipher_(key, associated, header_, format),
      sealed_(format.segment) {
    pending_.reserve(format.room(1));
}

void StreamEncryptor::write(std::span<const std::byte> plain) {
    if (finished_) throw Error{ErrorCode::internal, "an encrypted stream was written to behind its end"};
    // a full segment waits until more comes: it may be the last one
    while (!plain.empty()) {
        const std::size_t room = format_.room(index_);
        if (pending_.size() == room) {
            seal(pending_, false);
            pending_.clear();
        } else if (pending_.empty() && plain.size() > room) {
            seal(plain.first(room), false);
            plain = plain.subspan(room);
        } else {
            const std::size_t taken = std::min(plain.size(), room - pending_.size());
            pending_.insert(pending_.end(), plain.begin(), plain.begin() + static_cast<std::ptrdiff_t>(taken));
            plain = plain.subspan(taken);
        }
    }
}

void StreamEncryptor::finish() {
    if (finished_) throw Error{ErrorCode::internal, "an encrypted stream was ended twice"};
    finished_ = true;
    seal(pending_, true);
}

void StreamEncryptor::seal(std::span<const std::byte> plain, bool last) {
    if (index_ == 0) out_(header_);
    cipher_.seal(index_, last, plain, sealed_);
    ++index_;
    out_(std::span<const std::byte>(sealed_).first(plain.size() + AesGcm::tag_size));
}

StreamDecryptor::StreamDecryptor(KeyMaterial key, std::string associated, ByteSink out, StreamOrigin origin)
    : key_(std::move(key)),
      associated_(std::move(associated)),
      out_(std::move(out)),
      origin_(std::move(origin)),
      plain_(origin_.format.segment) {
    pending_.reserve(origin_.format.segment);
}

void StreamDecryptor::write(std::span<const std::byte> sealed) {
    if (ended_)
        throw Error{ErrorCode::corrupt, origin_.where + ": the encrypted stream was already refused or at its end"};
    while (!sealed.empty()) {
        const std::size_t room = cipher_ ? origin_.format.sealed_room(index_) : origin_.format.header_size();
        if (cipher_ && pending_.size() == room) {
            open(pending_, false);
            pending_.clear();
        } else if (cipher_ && pending_.empty() && sealed.size() > room) {
            open(sealed.first(room), false);
            sealed = sealed.subspan(room);
        } else {
            const std::size_t taken = std::min(sealed.size(), room - pending_.size());
            pending_.insert(pending_.end(), sealed.begin(), sealed.begin() + static_cast<std::ptrdiff_t>(taken));
            sealed = sealed.subspan(taken);
            if (cipher_ || pending_.size() < room) continue;
            cipher_.emplace(cipher_of(key_, associated_, pending_, origin_));
            pending_.clear();
        }
    }
}

void StreamDecryptor::finish() {
    if (ended_)
        throw Error{ErrorCode::corrupt, origin_.where + ": the encrypted stream was already refused or at its end"};
    if (!cipher_ || pending_.size() < AesGcm::tag_size || (index_ > 0 && pending_.size() == AesGcm::tag_size)) {
        ended_ = true;
        throw Error{
            ErrorCode::corrupt,
            origin_.where + ": the encrypted stream was cut " +
                (cipher_ ? "in " + place_of(index_, pending_.size(), origin_.format) : std::string("in its header")),
            std::string(other_copy)};
    }
    open(pending_, true);
    ended_ = true;
}

void StreamDecryptor::open(std::span<const std::byte> sealed, bool last) {
    if (!cipher_->open(index_, last, sealed, plain_)) {
        ended_ = true;
        throw refusal(*cipher_, index_, last, sealed, plain_, origin_);
    }
    ++index_;
    if (sealed.size() > AesGcm::tag_size)
        out_(std::span<const std::byte>(plain_).first(sealed.size() - AesGcm::tag_size));
}

SeekableDecryptor::SeekableDecryptor(const KeyMaterial& key, std::string_view associated,
                                     std::span<const std::byte> header, std::uint64_t size, StreamOrigin origin)
    : origin_(std::move(origin)), cipher_(cipher_of(key, associated, header, origin_)), sealed_size_(size) {
    const auto plain = plain_size(size, origin_.format);
    if (!plain)
        throw Error{ErrorCode::corrupt,
                    origin_.where + ": no whole encrypted stream has " + std::to_string(size) +
                        " bytes: it was cut or appended to",
                    std::string(other_copy)};
    plain_size_ = *plain;
    last_ = plain_size_ == 0 ? 0 : origin_.format.segment_of(plain_size_ - 1);
}

ByteRange SeekableDecryptor::needed(const ByteRange& plain) const {
    if (plain.offset > plain_size_ || plain.length > plain_size_ - plain.offset)
        throw Error{ErrorCode::incomplete, origin_.where + ": it holds " + std::to_string(plain_size_) + " bytes, " +
                                               std::to_string(plain.length) + " from " + std::to_string(plain.offset) +
                                               " on were asked for"};
    if (plain.length == 0) return {};
    const std::uint64_t first = origin_.format.segment_of(plain.offset);
    const std::uint64_t last = origin_.format.segment_of(plain.offset + plain.length - 1);
    const std::uint64_t begin = origin_.format.sealed_offset(first);
    const std::uint64_t end = last == last_ ? sealed_size_ : origin_.format.sealed_offset(last + 1);
    return ByteRange{.offset = begin, .length = end - begin};
}

void SeekableDecryptor::read(const ByteRange& plain, const RangeReader& stream, const ByteSink& out) {
    const ByteRange range = needed(plain);
    if (range.length == 0) return;
    std::uint64_t index = origin_.format.segment_of(plain.offset);
    std::uint64_t left = range.length;
    std::vector<std::byte> pending;
    std::vector<std::byte> opened(origin_.format.segment);
    pending.reserve(origin_.format.segment);

    const auto open = [&] {
        const bool last = index == last_;
        if (!cipher_.open(index, last, pending, opened)) throw refusal(cipher_, index, last, pending, opened, origin_);
        const std::uint64_t begin = origin_.format.plain_offset(index);
        const std::uint64_t end = begin + pending.size() - AesGcm::tag_size;
        const std::uint64_t from = std::max(begin, plain.offset);
        const std::uint64_t to = std::min(end, plain.offset + plain.length);
        ++index;
        pending.clear();
        out(std::span<const std::byte>(opened).subspan(from - begin, to - from));
    };
    stream(range, [&](std::span<const std::byte> bytes) {
        if (bytes.size() > left)
            throw Error{ErrorCode::protocol_failed, origin_.where + ": more bytes came than were asked for"};
        left -= bytes.size();
        while (!bytes.empty()) {
            const std::uint64_t room =
                index == last_ ? sealed_size_ - origin_.format.sealed_offset(index) : origin_.format.sealed_room(index);
            const std::size_t taken = std::min<std::size_t>(bytes.size(), room - pending.size());
            pending.insert(pending.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(taken));
            bytes = bytes.subspan(taken);
            if (pending.size() == room) open();
        }
    });
    if (left > 0)
        throw Error{ErrorCode::incomplete,
                    origin_.where + ": " + std::to_string(left) + " bytes of the encrypted stream did not come"};
}

}  // namespace lifeboat
