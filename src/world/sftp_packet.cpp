#include "world/sftp_packet.h"

#include <algorithm>

#include <sys/stat.h>

#include "base/text.h"

namespace lifeboat {

namespace {

constexpr std::uint32_t has_size = 0x1;
constexpr std::uint32_t has_owner = 0x2;
constexpr std::uint32_t has_permissions = 0x4;
constexpr std::uint32_t has_times = 0x8;
constexpr std::uint32_t has_extended = 0x80000000;

constexpr std::size_t longest_handle = 256;
constexpr std::size_t longest_message = 300;
// Of an empty name: two lengths and the flags of no attributes.
constexpr std::size_t least_name = 12;

enum class Answer : std::uint8_t {
    version = 2,
    status = 101,
    handle = 102,
    content = 103,
    names = 104,
    attributes = 105,
    extended = 201,
};

[[noreturn]] void malformed(std::string_view what) {
    throw Error{ErrorCode::protocol_failed, "the SFTP server sent " + std::string(what)};
}

class Reader {
  public:
    explicit Reader(std::span<const std::byte> bytes) : rest_(bytes) {}

    std::size_t left() const { return rest_.size(); }

    std::uint8_t byte() { return std::to_integer<std::uint8_t>(take(1).front()); }

    std::uint32_t number() {
        std::uint32_t value = 0;
        for (const std::byte each : take(4))
            value = value << 8 | std::to_integer<std::uint32_t>(each);
        return value;
    }

    std::uint64_t large_number() {
        const std::uint64_t high = number();
        return high << 32 | number();
    }

    std::span<const std::byte> bytes() { return take(number()); }

    std::string text() {
        const auto content = bytes();
        return std::string(reinterpret_cast<const char*>(content.data()), content.size());
    }

    std::span<const std::byte> rest() { return take(rest_.size()); }

    SftpAttributes attributes() {
        SftpAttributes value;
        const std::uint32_t flags = number();
        if (flags & has_size) value.size = large_number();
        if (flags & has_owner) {
            number();
            number();
        }
        if (flags & has_permissions) value.permissions = number();
        if (flags & has_times) {
            value.accessed = number();
            value.modified = number();
        }
        if (flags & has_extended) {
            const std::uint32_t count = number();
            for (std::uint32_t i = 0; i < count; ++i) {
                bytes();
                bytes();
            }
        }
        return value;
    }

  private:
    std::span<const std::byte> take(std::size_t count) {
        if (count > rest_.size()) malformed("a packet that ends before its content does");
        const auto taken = rest_.first(count);
        rest_ = rest_.subspan(count);
        return taken;
    }

    std::span<const std::byte> rest_;
};

SftpNames names_of(Reader& reader) {
    const std::uint32_t count = reader.number();
    if (count > reader.left() / least_name) malformed("more names than fit into their packet");
    SftpNames names(count);
    for (SftpName& each : names) {
        each.name = reader.text();
        reader.bytes();
        each.attributes = reader.attributes();
    }
    return names;
}

ErrorCode code_of(std::uint32_t status) {
    // 9 and above belong to later versions, but some servers say them to everybody
    switch (status) {
        case 2:
        case 10:
            return ErrorCode::not_found;
        case 3:
        case 12:
            return ErrorCode::denied;
        case 5:
            return ErrorCode::protocol_failed;
        case 6:
        case 7:
            return ErrorCode::connection_lost;
        case 8:
            return ErrorCode::unsupported;
        case 11:
            return ErrorCode::already_exists;
        case 14:
        case 15:
            return ErrorCode::disk_full;
        default:
            return ErrorCode::io_failed;
    }
}

}  // namespace

bool SftpAttributes::is_file() const {
    return permissions && S_ISREG(*permissions);
}

bool SftpAttributes::is_folder() const {
    return permissions && S_ISDIR(*permissions);
}

SftpPacketWriter::SftpPacketWriter(std::string& out, SftpRequest type) : out_(out), begin_(out.size()) {
    number(0);
    out_ += static_cast<char>(type);
}

SftpPacketWriter::~SftpPacketWriter() {
    const std::size_t length = out_.size() - begin_ - 4;
    for (std::size_t i = 0; i < 4; ++i)
        out_[begin_ + i] = static_cast<char>(length >> (24 - 8 * i) & 0xff);
}

SftpPacketWriter& SftpPacketWriter::number(std::uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8)
        out_ += static_cast<char>(value >> shift & 0xff);
    return *this;
}

SftpPacketWriter& SftpPacketWriter::large_number(std::uint64_t value) {
    return number(static_cast<std::uint32_t>(value >> 32)).number(static_cast<std::uint32_t>(value));
}

SftpPacketWriter& SftpPacketWriter::text(std::string_view value) {
    number(static_cast<std::uint32_t>(value.size()));
    out_ += value;
    return *this;
}

SftpPacketWriter& SftpPacketWriter::attributes(const SftpAttributes& value) {
    number((value.size ? has_size : 0) | (value.permissions ? has_permissions : 0) | (value.modified ? has_times : 0));
    if (value.size) large_number(*value.size);
    if (value.permissions) number(*value.permissions);
    if (value.modified) number(value.accessed.value_or(*value.modified)).number(*value.modified);
    return *this;
}

std::size_t SftpPacketWriter::content(const ByteSource& source, std::size_t most) {
    const std::size_t length_at = out_.size();
    number(0);
    const std::size_t at = out_.size();
    out_.resize(at + most);
    const std::span<std::byte> room(reinterpret_cast<std::byte*>(out_.data()) + at, most);
    std::size_t filled = 0;
    while (filled < most) {
        const std::size_t count = source(room.subspan(filled));
        if (count == 0) break;
        filled += count;
    }
    out_.resize(at + filled);
    for (std::size_t i = 0; i < 4; ++i)
        out_[length_at + i] = static_cast<char>(filled >> (24 - 8 * i) & 0xff);
    return filled;
}

std::optional<std::size_t> sftp_packet_size(std::span<const std::byte> received) {
    if (received.size() < 4) return std::nullopt;
    const std::size_t length = Reader(received).number();
    if (length == 0) malformed("an empty packet");
    if (length > longest_sftp_packet)
        malformed("a packet of " + std::to_string(length) + " bytes: none is longer than " +
                  std::to_string(longest_sftp_packet));
    return length + 4;
}

SftpReply decode_sftp_reply(std::span<const std::byte> packet) {
    Reader reader(packet);
    const std::uint8_t type = reader.byte();
    SftpReply reply{.id = reader.number(), .answer = {}};
    switch (static_cast<Answer>(type)) {
        case Answer::status: {
            SftpStatus status{.code = reader.number(), .message = {}};
            // old servers leave message and language out
            if (reader.left() > 0) status.message = printable(reader.text().substr(0, longest_message));
            reply.answer = std::move(status);
            return reply;
        }
        case Answer::handle: {
            SftpHandle handle{reader.text()};
            if (handle.handle.empty() || handle.handle.size() > longest_handle)
                malformed("a handle of " + std::to_string(handle.handle.size()) + " bytes");
            reply.answer = std::move(handle);
            return reply;
        }
        case Answer::content:
            reply.answer = SftpContent{reader.bytes()};
            return reply;
        case Answer::names:
            reply.answer = names_of(reader);
            return reply;
        case Answer::attributes:
            reply.answer = reader.attributes();
            return reply;
        case Answer::extended:
            reply.answer = SftpExtended{reader.rest()};
            return reply;
        case Answer::version:
            break;
    }
    malformed("a packet of the unknown type " + std::to_string(type));
}

SftpVersion decode_sftp_version(std::span<const std::byte> packet) {
    Reader reader(packet);
    if (reader.byte() != static_cast<std::uint8_t>(Answer::version))
        malformed("something other than its version as its first packet");
    SftpVersion version{.version = reader.number(), .extensions = {}};
    while (reader.left() > 0) {
        std::string name = reader.text();
        version.extensions[std::move(name)] = reader.text();
    }
    return version;
}

SftpLimits decode_sftp_limits(std::span<const std::byte> answer) {
    Reader reader(answer);
    SftpLimits limits;
    limits.packet = reader.large_number();
    limits.read = reader.large_number();
    limits.write = reader.large_number();
    return limits;
}

SftpSpace decode_sftp_space(std::span<const std::byte> answer) {
    Reader reader(answer);
    reader.large_number();
    const std::uint64_t fragment = reader.large_number();
    reader.large_number();
    reader.large_number();
    const std::uint64_t available = reader.large_number();
    for (int skipped = 0; skipped < 4; ++skipped)
        reader.large_number();
    const std::uint64_t flags = reader.large_number();
    const std::uint64_t most = UINT64_MAX / std::max<std::uint64_t>(fragment, 1);
    return SftpSpace{.free = available > most ? UINT64_MAX : available * fragment, .read_only = (flags & 1) != 0};
}

Error sftp_error(std::string_view tried, const SftpStatus& status) {
    std::string message = "cannot " + std::string(tried) + ": ";
    if (status.message.empty()) {
        message += "the server answered with status " + std::to_string(status.code);
    } else {
        message += "the server says '" + status.message + "'";
    }
    Error error{code_of(status.code), std::move(message)};
    error.details = Json{{"sftp_status", status.code}};
    return error;
}

}  // namespace lifeboat
