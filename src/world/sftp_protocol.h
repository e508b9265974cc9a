// A client of SFTP version 3 with many requests on their way at once: latency is paid once, not per block. Replies may
// come in any order and reads may be short. What a server can make it hold is bounded by the window and by
// longest_sftp_packet; a reply that nobody asked for is Error{protocol_failed}. One thread at a time.
//
// Refusals are Error{not_found | denied | unsupported | io_failed | …} (see sftp_error), after which the client can be
// used on. After every other exception ask `reusable`. Beyond those: Error{cancelled | timed_out} as the control says,
// Error{slow} when nothing at all has come for as long as the patience, Error{connection_lost}.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "world/byte_duplex.h"
#include "world/byte_stream.h"
#include "world/control.h"
#include "world/sftp_packet.h"

namespace lifeboat {

struct SftpTuning {
    std::size_t window = 4u << 20;           // bytes asked for or sent and not yet answered
    std::size_t largest_block = 256u << 10;  // of one read or write, if the server takes so much
    Duration patience = std::chrono::minutes(2);
    std::size_t most_names = 2'000'000;  // in one folder
};

class SftpClient {
  public:
    // Greets the server and learns what it can do.
    SftpClient(std::unique_ptr<ByteDuplex> bytes, const SftpTuning& tuning, const WorkControl& control);

    // Whether another operation can follow without paying for what is left of an earlier one.
    bool reusable() const;

    struct Extensions {
        bool posix_rename = false;
        bool fsync = false;
        bool statvfs = false;
        bool hardlink = false;
    };
    const Extensions& extensions() const { return extensions_; }

    // Of the names themselves, asked for all at once; nullopt where there is nothing.
    std::vector<std::optional<SftpAttributes>> lstat(std::span<const std::string> paths, const WorkControl& control);
    std::optional<SftpAttributes> lstat(const std::string& path, const WorkControl& control);
    // Follows links.
    std::optional<SftpAttributes> stat(const std::string& path, const WorkControl& control);

    struct Found {
        std::vector<std::optional<SftpAttributes>> facts;  // as of `lstat`
        std::string handle;                                // empty where `refusal` says why
        std::optional<Error> refusal;
    };
    // Both in one round trip: looks at `paths` and opens the last of them for reading. For names known to be plain
    // files: opening a pipe can hang.
    Found look_and_open(std::span<const std::string> paths, const WorkControl& control);
    // A file that is made gets the mode 0600.
    std::string open(const std::string& path, SftpOpen how, const WorkControl& control);
    SftpAttributes fstat(const std::string& handle, const WorkControl& control);
    void set_modified(const std::string& handle, std::uint32_t seconds, const WorkControl& control);
    void fsync(const std::string& handle, const WorkControl& control);
    void close(const std::string& handle, const WorkControl& control);
    // Closes without waiting for the answer.
    void let_go(const std::string& handle);

    // Gives `length` bytes from `offset` on to `sink`, in order; returns how many there were before the end of the
    // file. `check`, unless empty, sees what the open file is before the first byte is given; what it throws ends the
    // read.
    std::uint64_t read(const std::string& handle, std::uint64_t offset, std::uint64_t length, const ByteSink& sink,
                       const WorkControl& control, const std::function<void(const SftpAttributes& opened)>& check = {});
    // Writes all of `source` from offset 0 on; returns its size. When the source throws, what is on its way is waited
    // for by `settle`.
    std::uint64_t write(const std::string& handle, const ByteSource& source, const WorkControl& control);
    // Waits for the answers to everything that was asked, and forgets them.
    void settle(const WorkControl& control);

    // In the server's order, without '.' and '..'; nullopt where there is no such folder.
    std::optional<std::vector<SftpName>> read_folder(const std::string& path, const WorkControl& control);

    void make_folder(const std::string& path, const WorkControl& control);
    void remove_folder(const std::string& path, const WorkControl& control);
    void remove(const std::string& path, const WorkControl& control);
    // By the draft, an existing `to` is refused.
    void rename(const std::string& from, const std::string& to, const WorkControl& control);
    // Replaces. Only with the extension, as the next two.
    void posix_rename(const std::string& from, const std::string& to, const WorkControl& control);
    void hard_link(const std::string& existing, const std::string& name, const WorkControl& control);
    SftpSpace space_at(const std::string& path, const WorkControl& control);

  private:
    template <typename Build>
    std::uint32_t ask(SftpRequest type, Build&& build);
    [[noreturn]] void distrust(std::string_view what);
    void greet(const WorkControl& control);
    // Moves bytes, after waiting for it.
    void exchange(const WorkControl& control);
    // The next packet that has arrived whole, if there is one, and the one that there will be; without its length,
    // valid until the next call.
    std::optional<std::span<const std::byte>> packet_at_hand();
    std::span<const std::byte> next_packet(const WorkControl& control);
    // A reply to anything that was asked.
    SftpReply accept(std::span<const std::byte> packet);
    // The reply to `id`; what else comes before it belongs to operations that were given up.
    SftpReply reply_to(std::uint32_t id, const WorkControl& control);
    template <typename Answer>
    Answer answer_to(std::uint32_t id, std::string_view tried, const WorkControl& control);
    void expect_ok(std::uint32_t id, std::string_view tried, const WorkControl& control);
    std::optional<SftpAttributes> attributes_of(SftpReply reply, std::string_view tried);

    std::unique_ptr<ByteDuplex> bytes_;
    SftpTuning tuning_;
    Extensions extensions_;
    std::size_t read_block_ = 32u << 10;  // what every server takes
    std::size_t write_block_ = 32u << 10;

    std::string out_;  // not yet sent, from out_begin_ on
    std::size_t out_begin_ = 0;
    std::vector<std::byte> in_;
    std::size_t in_begin_ = 0;
    std::size_t in_end_ = 0;
    std::size_t packet_ = 0;  // size of the packet at in_begin_ that was given out

    std::uint32_t next_id_ = 0;
    std::optional<std::uint32_t> limits_;      // the request for them: nothing waits for the answer
    std::unordered_set<std::uint32_t> asked_;  // and not yet answered
    bool broken_ = false;
};

}  // namespace lifeboat
