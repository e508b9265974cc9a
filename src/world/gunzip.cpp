#include "world/gunzip.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <limits>
#include <memory>
#include <vector>

#include <zlib.h>

#include "base/error.h"

namespace lifeboat {

namespace {

class Gunzip {
  public:
    explicit Gunzip(ByteSource packed) : packed_(std::move(packed)), buffer_(std::size_t{1} << 17) {
        constexpr int gzip_only = 16;
        if (inflateInit2(&stream_, MAX_WBITS + gzip_only) != Z_OK)
            throw Error{ErrorCode::internal, "zlib cannot be set up"};
    }
    Gunzip(const Gunzip&) = delete;
    Gunzip& operator=(const Gunzip&) = delete;
    ~Gunzip() { inflateEnd(&stream_); }

    std::size_t read(std::span<std::byte> out) {
        while (!out.empty()) {
            if (stream_.avail_in == 0 && !refill()) {
                if (inside_) throw Error{ErrorCode::incomplete, "the gzip data ends in the middle"};
                return 0;
            }
            if (!inside_ && !begin_member()) return 0;
            // zlib counts in 32 bits
            const std::size_t room = std::min<std::size_t>(out.size(), std::numeric_limits<uInt>::max());
            stream_.next_out = reinterpret_cast<Bytef*>(out.data());
            stream_.avail_out = static_cast<uInt>(room);
            const int end = inflate(&stream_, Z_NO_FLUSH);
            const std::size_t made = room - stream_.avail_out;
            if (end == Z_STREAM_END) {
                inside_ = false;
            } else if (end != Z_OK && end != Z_BUF_ERROR) {
                throw Error{ErrorCode::corrupt,
                            "the gzip data is damaged" +
                                (stream_.msg == nullptr ? std::string() : ": " + std::string(stream_.msg))};
            }
            if (made > 0) return made;
        }
        return 0;
    }

  private:
    bool refill() {
        const std::size_t length = packed_(buffer_);
        stream_.next_in = reinterpret_cast<Bytef*>(buffer_.data());
        stream_.avail_in = static_cast<uInt>(length);
        return length > 0;
    }

    // False at the end: members may be followed by zeros, as tapes have them, and by nothing else.
    bool begin_member() {
        if (members_ > 0 && *stream_.next_in == 0) {
            do {
                if (std::any_of(stream_.next_in, stream_.next_in + stream_.avail_in,
                                [](Bytef byte) { return byte != 0; }))
                    throw Error{ErrorCode::corrupt, "something else follows the gzip data"};
            } while (refill());
            return false;
        }
        if (members_ > 0) inflateReset(&stream_);
        ++members_;
        inside_ = true;
        return true;
    }

    ByteSource packed_;
    std::vector<std::byte> buffer_;
    z_stream stream_{};
    std::size_t members_ = 0;
    bool inside_ = false;
};

}  // namespace

ByteSource gunzipped(ByteSource packed) {
    return
        [gunzip = std::make_shared<Gunzip>(std::move(packed))](std::span<std::byte> out) { return gunzip->read(out); };
}

bool looks_gzipped(const std::filesystem::path& path) {
    std::array<char, 2> head{};
    std::ifstream file(path, std::ios::binary);
    return file.read(head.data(), head.size()) && head[0] == '\x1f' && head[1] == '\x8b';
}

}  // namespace lifeboat
