#include "backup/encryption.h"

#include <algorithm>
#include <mutex>

#include "base/error.h"

namespace lifeboat {

namespace {

constexpr StreamFormat format{};

std::span<const std::byte> as_bytes_of(std::string_view text) {
    return std::as_bytes(std::span(text));
}

void check_header(const EncryptionHeader& header, const std::optional<ObjectEncryption>& expected,
                  const std::string& where) {
    if (!expected) return;
    if (expected->scheme != encryption_scheme)
        throw Error{ErrorCode::unsupported, where + ": by its manifest it is encrypted by '" + expected->scheme +
                                                "', this version knows '" + std::string(encryption_scheme) + "'"};
    if (expected->key_hint != header.key_hint)
        throw Error{ErrorCode::corrupt,
                    where + ": it names key " + header.key_hint + ", its manifest " + expected->key_hint,
                    "Use another copy of it."};
}

void check_size(std::uint64_t size, const std::optional<ObjectEncryption>& expected, const std::string& where) {
    if (!expected || expected->plain_size.count == size) return;
    throw Error{ErrorCode::corrupt,
                where + ": it holds " + std::to_string(size) + " bytes, by its manifest " +
                    std::to_string(expected->plain_size.count),
                "Use another copy of it."};
}

// Where the line ends, its newline included.
std::optional<std::size_t> end_of_line(std::span<const std::byte> bytes) {
    const auto newline = std::find(bytes.begin(), bytes.end(), std::byte{'\n'});
    if (newline == bytes.end()) return std::nullopt;
    return static_cast<std::size_t>(newline - bytes.begin()) + 1;
}

KeyMaterial own_material(const EncryptionKey& key, const EncryptionHeader& header) {
    auto material = key.material_for(header);
    if (!material) throw Error{ErrorCode::internal, "a key does not know its own header"};
    return std::move(*material);
}

// One object to be read several times, in parts that travel side by side.
class EncryptedText {
  public:
    EncryptedText(Content plain, const EncryptionKey& key)
        : plain_(std::move(plain)), line_(header_line(key.header())), header_(new_stream_header(format)) {
        material_ = own_material(key, key.header());
        size_ = line_.size() + ciphertext_size(plain_.size, format);
        last_ = plain_.size == 0 ? 0 : format.segment_of(plain_.size - 1);
        beginning_ = line_;
        beginning_.append(reinterpret_cast<const char*>(header_.data()), header_.size());
        tags_.resize(static_cast<std::size_t>(last_) + 1);
    }

    std::uint64_t size() const { return size_; }
    const std::string& beginning() const { return beginning_; }
    std::uint64_t last() const { return last_; }
    SegmentCipher cipher() const { return SegmentCipher(material_, line_, header_, format); }
    ByteSource open_plain(std::uint64_t index) const { return plain_.open(format.plain_offset(index)); }
    std::size_t plain_length(std::uint64_t index) const {
        return index < last_ ? format.room(index) : static_cast<std::size_t>(plain_.size - format.plain_offset(index));
    }

    // Equal tags are equal texts: two of them under one nonce would give both away.
    void check_tag(std::uint64_t index, std::span<const std::byte> tag) {
        const std::lock_guard lock(mutex_);
        std::optional<Tag>& known = tags_[static_cast<std::size_t>(index)];
        if (!known) {
            std::copy(tag.begin(), tag.end(), known.emplace().begin());
        } else if (!std::equal(tag.begin(), tag.end(), known->begin(), known->end())) {
            throw Error{ErrorCode::moved, "what is being encrypted has changed since it was first read"};
        }
    }

  private:
    using Tag = std::array<std::byte, AesGcm::tag_size>;

    Content plain_;
    std::string line_;
    std::vector<std::byte> header_;
    std::string beginning_;
    KeyMaterial material_;
    std::uint64_t size_ = 0;
    std::uint64_t last_ = 0;
    std::mutex mutex_;
    std::vector<std::optional<Tag>> tags_;
};

// One reading of it, from an offset to the end.
class EncryptedSource {
  public:
    EncryptedSource(std::shared_ptr<EncryptedText> text, std::uint64_t offset)
        : text_(std::move(text)), cipher_(text_->cipher()), sealed_(format.segment) {
        const std::string& beginning = text_->beginning();
        if (offset < beginning.size()) {
            ready_ = as_bytes_of(beginning).subspan(static_cast<std::size_t>(offset));
            return;
        }
        if (offset >= text_->size()) {
            index_ = text_->last() + 1;
            return;
        }
        const std::uint64_t in_stream = offset - beginning.size() + format.header_size();
        index_ = in_stream / format.segment;
        next();
        ready_ = ready_.subspan(static_cast<std::size_t>(in_stream - format.sealed_offset(index_ - 1)));
    }

    std::size_t read(std::span<std::byte> into) {
        if (ready_.empty() && index_ <= text_->last()) next();
        const std::size_t taken = std::min(into.size(), ready_.size());
        std::copy_n(ready_.begin(), taken, into.begin());
        ready_ = ready_.subspan(taken);
        return taken;
    }

  private:
    void next() {
        const std::size_t size = text_->plain_length(index_);
        if (!plain_) plain_ = text_->open_plain(index_);
        opened_.resize(size);
        for (std::size_t held = 0; held < size;) {
            const std::size_t count = plain_(std::span(opened_).subspan(held));
            if (count == 0)
                throw Error{ErrorCode::moved, "what is being encrypted has become shorter since it was first seen"};
            held += count;
        }
        cipher_.seal(index_, index_ == text_->last(), opened_, sealed_);
        text_->check_tag(index_, std::span<const std::byte>(sealed_).subspan(size, AesGcm::tag_size));
        ready_ = std::span<const std::byte>(sealed_).first(size + AesGcm::tag_size);
        ++index_;
    }

    std::shared_ptr<EncryptedText> text_;
    SegmentCipher cipher_;
    ByteSource plain_;
    std::vector<std::byte> opened_;
    std::vector<std::byte> sealed_;
    std::span<const std::byte> ready_;
    std::uint64_t index_ = 0;  // of the segment to be sealed next
};

}  // namespace

std::uint64_t encrypted_size(std::uint64_t plain, const EncryptionHeader& header) {
    return header_line(header).size() + ciphertext_size(plain, format);
}

Encryption::Encryption(const EncryptionKey& key, ByteSink out, PlainDigest digest)
    : out_(std::move(out)),
      header_(key.header()),
      line_(header_line(header_)),
      stream_(own_material(key, header_), line_, out_),
      wanted_(digest) {}

void Encryption::write(std::span<const std::byte> plain) {
    if (!begun_) out_(as_bytes_of(line_));
    begun_ = true;
    if (wanted_ == PlainDigest::computed) digest_.update(plain);
    size_ += plain.size();
    stream_.write(plain);
}

ObjectEncryption Encryption::finish() {
    if (!begun_) out_(as_bytes_of(line_));
    begun_ = true;
    stream_.finish();
    return ObjectEncryption{
        .scheme = std::string(encryption_scheme),
        .key_hint = header_.key_hint,
        .plain_size = Bytes{size_},
        .plain_sha256 = wanted_ == PlainDigest::computed ? to_hex(digest_.finish()) : std::string()};
}

Content encrypted_content(Content plain, const EncryptionKey& key) {
    const auto text = std::make_shared<EncryptedText>(std::move(plain), key);
    return Content{.size = text->size(), .open = [text](std::uint64_t offset) -> ByteSource {
                       const auto source = std::make_shared<EncryptedSource>(text, offset);
                       return [source](std::span<std::byte> into) { return source->read(into); };
                   }};
}

Decryption::Decryption(KeyRing keys, ByteSink out, std::string where, std::optional<ObjectEncryption> expected)
    : keys_(std::move(keys)), out_(std::move(out)), where_(std::move(where)), expected_(std::move(expected)) {}

void Decryption::write(std::span<const std::byte> sealed) {
    if (stream_) {
        stream_->write(sealed);
        return;
    }
    const auto end = end_of_line(sealed);
    const std::size_t taken = std::min(end.value_or(sealed.size()), longest_encryption_header + 1 - line_.size());
    line_.append(reinterpret_cast<const char*>(sealed.data()), taken);
    if (!end && line_.size() <= longest_encryption_header) return;
    const EncryptionHeader header = parse_header_line(line_, where_);
    check_header(header, expected_, where_);
    stream_.emplace(
        keys_.material_for(header, where_), line_, [this](std::span<const std::byte> plain) { take(plain); },
        StreamOrigin{.where = where_, .key_is_known = true});
    stream_->write(sealed.subspan(taken));
}

void Decryption::take(std::span<const std::byte> plain) {
    if (expected_ && !expected_->plain_sha256.empty()) digest_.update(plain);
    size_ += plain.size();
    out_(plain);
}

void Decryption::finish() {
    if (!stream_)
        throw Error{ErrorCode::corrupt, where_ + ": it was cut in the header of its encryption",
                    "Use another copy of it."};
    stream_->finish();
    check_size(size_, expected_, where_);
    if (expected_ && !expected_->plain_sha256.empty() && to_hex(digest_.finish()) != expected_->plain_sha256)
        throw Error{ErrorCode::corrupt, where_ + ": what it holds is not what its manifest says",
                    "Use another copy of it."};
}

EncryptedObject::EncryptedObject(const KeyRing& keys, std::span<const std::byte> first_bytes, std::uint64_t size,
                                 std::string where, const std::optional<ObjectEncryption>& expected) {
    const auto end = end_of_line(first_bytes);
    const std::string line(reinterpret_cast<const char*>(first_bytes.data()), end.value_or(first_bytes.size()));
    header_ = parse_header_line(line, where);
    check_header(header_, expected, where);
    offset_ = line.size();
    const auto rest = first_bytes.subspan(line.size());
    if (rest.size() < format.header_size() || size < offset_)
        throw Error{ErrorCode::corrupt, where + ": it was cut in the header of its encrypted stream",
                    "Use another copy of it."};
    stream_.emplace(keys.material_for(header_, where), line, rest.first(format.header_size()), size - offset_,
                    StreamOrigin{.where = where, .key_is_known = true});
    check_size(stream_->size(), expected, where);
}

ByteRange EncryptedObject::needed(const ByteRange& plain) const {
    ByteRange range = stream_->needed(plain);
    if (range.length > 0) range.offset += offset_;
    return range;
}

void EncryptedObject::read(const ByteRange& plain, const RangeReader& object, const ByteSink& out) {
    stream_->read(
        plain,
        [&](const ByteRange& range, const ByteSink& sink) {
            object(ByteRange{.offset = range.offset + offset_, .length = range.length}, sink);
        },
        out);
}

}  // namespace lifeboat
