// An SFTP server that sends whatever the fuzzer likes, against every operation of the client: an answer or an Error,
// never a crash, and never more memory than the window.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "world/sftp_protocol.h"

using namespace lifeboat;

namespace {

// Gives the input in pieces, the first of which is a right greeting, and is silent afterwards.
class Input final : public ByteDuplex {
  public:
    explicit Input(std::span<const std::byte> bytes) : rest_(bytes) {}
    MovedBytes move(std::span<const std::byte> out, std::span<std::byte> in, const std::stop_token&,
                    SteadyTime) override {
        auto& from = greeting_.empty() ? rest_ : greeting_;
        const std::size_t count = std::min({in.size(), from.size(), std::size_t{97}});
        std::memcpy(in.data(), from.data(), count);
        from = from.subspan(count);
        if (count == 0) throw Error{ErrorCode::connection_lost, "the input is over"};
        return {.sent = out.size(), .received = count};
    }

  private:
    static constexpr unsigned char hello[] = {0, 0, 0, 5, 2, 0, 0, 0, 3};
    std::span<const std::byte> greeting_ = std::as_bytes(std::span(hello));
    std::span<const std::byte> rest_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    if (size == 0) return 0;
    const auto input = std::as_bytes(std::span(bytes, size));
    try {
        decode_sftp_reply(input);
    } catch (const Error& error) {
        if (error.code != ErrorCode::protocol_failed) std::abort();
    }
    try {
        SftpClient client(std::make_unique<Input>(input.subspan(1)), {.window = 1u << 20, .most_names = 10'000}, {});
        const WorkControl control;
        std::uint64_t taken = 0;
        for (unsigned turn = 0; turn < 8; ++turn) {
            try {
                switch ((bytes[0] + turn) % 8) {
                    case 0:
                        client.read(
                            "h", 0, 3u << 20, [&](std::span<const std::byte> some) { taken += some.size(); }, control);
                        break;
                    case 1:
                        client.read_folder("d", control);
                        break;
                    case 2:
                        client.open("f", SftpOpen::read, control);
                        break;
                    case 3:
                        client.write(
                            "h",
                            [left = std::size_t{100'000}](std::span<std::byte> into) mutable {
                                const std::size_t count = std::min(left, into.size());
                                left -= count;
                                return count;
                            },
                            control);
                        break;
                    case 4:
                        client.fstat("h", control);
                        break;
                    case 5:
                        client.space_at("/", control);
                        break;
                    case 6:
                        client.lstat("x", control);
                        break;
                    default:
                        client.rename("a", "b", control);
                        break;
                }
            } catch (const Error&) {
                if (!client.reusable()) throw;
            }
        }
        if (taken > 8ull * (3u << 20)) std::abort();
    } catch (const Error&) {
    }
    return 0;
}
