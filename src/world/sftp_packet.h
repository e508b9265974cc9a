// The packets of SFTP version 3 (draft-ietf-secsh-filexfer-02) as plain values, without any input or output. What comes
// from a server is not trusted: every length is checked against what is really there, and whatever does not fit is
// Error{protocol_failed}.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"
#include "world/byte_stream.h"

namespace lifeboat {

enum class SftpRequest : std::uint8_t {
    init = 1,
    open = 3,
    close = 4,
    read = 5,
    write = 6,
    lstat = 7,
    fstat = 8,
    fsetstat = 10,
    opendir = 11,
    readdir = 12,
    remove = 13,
    mkdir = 14,
    rmdir = 15,
    stat = 17,
    rename = 18,
    extended = 200,
};

enum class SftpOpen : std::uint32_t {
    read = 0x01,
    create_exclusively = 0x02 | 0x08 | 0x20,  // to be written
};

struct SftpAttributes {
    std::optional<std::uint64_t> size;
    std::optional<std::uint32_t> permissions;  // with the file's type, as st_mode
    std::optional<std::uint32_t> accessed;     // seconds since 1970; always together with `modified`
    std::optional<std::uint32_t> modified;

    bool is_file() const;
    bool is_folder() const;
};

// Appends one request to `out`: the fields are those of the draft, in its order. The length in front is right once the
// writer is gone.
class SftpPacketWriter {
  public:
    SftpPacketWriter(std::string& out, SftpRequest type);
    ~SftpPacketWriter();
    SftpPacketWriter(const SftpPacketWriter&) = delete;
    SftpPacketWriter& operator=(const SftpPacketWriter&) = delete;

    SftpPacketWriter& number(std::uint32_t value);
    SftpPacketWriter& large_number(std::uint64_t value);
    SftpPacketWriter& text(std::string_view value);
    SftpPacketWriter& attributes(const SftpAttributes& value);
    // A text of at most `most` bytes out of `source`; returns how many there were, less only at its end.
    std::size_t content(const ByteSource& source, std::size_t most);

  private:
    std::string& out_;
    std::size_t begin_;
};

struct SftpStatus {
    std::uint32_t code = 0;
    std::string message;  // the server's words: printable and short

    bool ok() const { return code == 0; }
    bool end_of_file() const { return code == 1; }
    bool no_such_file() const { return code == 2; }
};
struct SftpHandle {
    std::string handle;
};
// Points into the packet.
struct SftpContent {
    std::span<const std::byte> bytes;
};
struct SftpName {
    std::string name;
    SftpAttributes attributes;
};
using SftpNames = std::vector<SftpName>;
// The answer to an extended request, undecoded; points into the packet.
struct SftpExtended {
    std::span<const std::byte> bytes;
};

struct SftpReply {
    std::uint32_t id = 0;
    std::variant<SftpStatus, SftpHandle, SftpContent, SftpNames, SftpAttributes, SftpExtended> answer;
};

struct SftpVersion {
    std::uint32_t version = 0;
    std::map<std::string, std::string> extensions;  // name → revision
};
// limits@openssh.com; 0 where the server does not say.
struct SftpLimits {
    std::uint64_t packet = 0;
    std::uint64_t read = 0;
    std::uint64_t write = 0;
};
// statvfs@openssh.com
struct SftpSpace {
    std::uint64_t free = 0;  // bytes, for this user
    bool read_only = false;
};

// No server sends longer packets, as OpenSSH's client takes none.
inline constexpr std::size_t longest_sftp_packet = 256u << 10;

// How long the packet at the front of `received` is, with the four bytes of its length; nullopt until those are there.
std::optional<std::size_t> sftp_packet_size(std::span<const std::byte> received);
// `packet` is without its length.
SftpReply decode_sftp_reply(std::span<const std::byte> packet);
SftpVersion decode_sftp_version(std::span<const std::byte> packet);
SftpLimits decode_sftp_limits(std::span<const std::byte> answer);
SftpSpace decode_sftp_space(std::span<const std::byte> answer);

// What a refusal means: "cannot <tried>: <the server's words>", with details {sftp_status}.
Error sftp_error(std::string_view tried, const SftpStatus& status);

}  // namespace lifeboat
