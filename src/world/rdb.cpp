#include "world/rdb.h"

#include <array>
#include <cstdint>
#include <fstream>

#include "base/error.h"
#include "base/text.h"

namespace lifeboat {

namespace {

constexpr int auxiliary = 0xFA;
constexpr int end_of_snapshot = 0xFF;
constexpr std::streamoff magic_size = 9;
constexpr std::streamoff checksum_size = 8;

class Reader {
  public:
    explicit Reader(const std::filesystem::path& path) : path_(path), file_(path, std::ios::binary) {
        if (!file_) throw Error{ErrorCode::io_failed, "cannot read '" + path.string() + "'"};
    }

    int byte() {
        const int next = file_.get();
        if (next == std::ifstream::traits_type::eof()) throw incomplete();
        return next;
    }

    std::string bytes(std::size_t count) {
        std::string text(count, '\0');
        file_.read(text.data(), static_cast<std::streamsize>(count));
        if (!file_) throw incomplete();
        return text;
    }

    // Length-prefixed bytes, or a number of 1, 2 or 4 bytes, least significant first.
    std::string text() {
        const int first = byte();
        const int low = first & 0x3F;
        switch (first >> 6) {
            case 0:
                return bytes(static_cast<std::size_t>(low));
            case 1:
                return bytes(static_cast<std::size_t>(low << 8 | byte()));
            case 3:
                if (low <= 2) return std::to_string(number(1 << low));
                [[fallthrough]];
            default:  // long or compressed: no auxiliary field is
                throw corrupt("an auxiliary field is too long");
        }
    }

    std::int64_t number(int count) {
        std::uint32_t value = 0;
        for (int i = 0; i < count; ++i)
            value |= static_cast<std::uint32_t>(byte()) << (8 * i);
        if (count == 1) return static_cast<std::int8_t>(value);
        if (count == 2) return static_cast<std::int16_t>(value);
        return static_cast<std::int32_t>(value);
    }

    bool next_is(int operation) { return file_.peek() == operation; }

    int byte_from_end(std::streamoff distance) {
        file_.clear();
        file_.seekg(0, std::ios::end);
        if (file_.tellg() < magic_size + distance) throw incomplete();
        file_.seekg(-distance, std::ios::end);
        return byte();
    }

    Error corrupt(const std::string& why) const {
        return Error{ErrorCode::corrupt, "'" + path_.string() + "' is no snapshot of Redis: " + why};
    }
    Error incomplete() const {
        return Error{ErrorCode::incomplete, "the Redis snapshot '" + path_.string() + "' ends early"};
    }

  private:
    std::filesystem::path path_;
    std::ifstream file_;
};

}  // namespace

RdbHeader read_rdb_frame(const std::filesystem::path& path) {
    Reader reader(path);
    const std::string magic = reader.bytes(magic_size);
    const std::string version = magic.substr(5);
    if (!magic.starts_with("REDIS") || version.find_first_not_of("0123456789") != std::string::npos)
        throw reader.corrupt("it begins with '" + printable(magic) + "'");
    RdbHeader header{.version = std::stoi(version), .fields = {}};
    while (reader.next_is(auxiliary)) {
        reader.byte();
        std::string name = reader.text();
        header.fields[std::move(name)] = reader.text();
    }
    const bool with_checksum = header.version >= 5;
    if (reader.byte_from_end(1 + (with_checksum ? checksum_size : 0)) != end_of_snapshot) throw reader.incomplete();
    return header;
}

}  // namespace lifeboat
