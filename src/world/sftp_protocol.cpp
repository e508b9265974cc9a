#include "world/sftp_protocol.h"

#include <algorithm>
#include <cstring>
#include <deque>

namespace lifeboat {

namespace {

constexpr std::size_t receive_buffer = 2 * longest_sftp_packet;
// More of what is to be sent is not made before this much has gone.
constexpr std::size_t send_buffer = 512u << 10;
constexpr std::size_t listing_depth = 4;
// Answers to `let_go` that may still come when the next operation begins.
constexpr std::size_t most_loose_ends = 64;

std::string quoted(std::string_view tried, const std::string& path) {
    return std::string(tried) + " '" + path + "'";
}

SteadyTime steady_now() {
    return std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now());
}

// Servers without limits@ take 32 KiB; the others what they say, as far as we want it.
std::size_t block_size(std::uint64_t said, std::uint64_t packet, std::size_t largest) {
    constexpr std::uint64_t least = 32u << 10;
    constexpr std::uint64_t head = 1024;
    std::uint64_t size = said == 0 ? least : said;
    if (packet > least + head) size = std::min(size, packet - head);
    return static_cast<std::size_t>(std::clamp<std::uint64_t>(size, 1024, std::max<std::size_t>(largest, 1024)));
}

}  // namespace

template <typename Build>
std::uint32_t SftpClient::ask(SftpRequest type, Build&& build) {
    const std::uint32_t id = next_id_++;
    const std::size_t begin = out_.size();
    try {
        SftpPacketWriter packet(out_, type);
        packet.number(id);
        build(packet);
    } catch (...) {
        out_.resize(begin);
        throw;
    }
    asked_.insert(id);
    return id;
}

SftpClient::SftpClient(std::unique_ptr<ByteDuplex> bytes, const SftpTuning& tuning, const WorkControl& control)
    : bytes_(std::move(bytes)), tuning_(tuning), in_(receive_buffer) {
    greet(control);
}

bool SftpClient::reusable() const {
    return !broken_ && asked_.size() <= most_loose_ends && out_.size() - out_begin_ <= send_buffer;
}

void SftpClient::distrust(std::string_view what) {
    broken_ = true;
    throw Error{ErrorCode::protocol_failed, "the SFTP server " + std::string(what)};
}

void SftpClient::greet(const WorkControl& control) {
    constexpr std::uint32_t our_version = 3;
    { SftpPacketWriter(out_, SftpRequest::init).number(our_version); }
    while (in_end_ < 4)
        exchange(control);
    // A length of a greeting whose bytes are letters is none.
    const bool text = std::all_of(in_.begin(), in_.begin() + 4, [](std::byte each) {
        const auto letter = std::to_integer<unsigned char>(each);
        return letter == '\n' || letter == '\r' || letter == 0x1b || (letter >= ' ' && letter < 0x7f);
    });
    if (text) {
        broken_ = true;
        throw Error{ErrorCode::protocol_failed, "the SFTP server began with text instead of its version",
                    "A start-up file of the login shell on that host (such as .bashrc) prints something: it must not "
                    "when nobody sits at a terminal."};
    }
    const SftpVersion version = decode_sftp_version(next_packet(control));
    if (version.version < our_version) distrust("speaks only version " + std::to_string(version.version));
    const auto offers = [&version](const char* name, const char* revision) {
        const auto found = version.extensions.find(name);
        return found != version.extensions.end() && found->second == revision;
    };
    extensions_ = {.posix_rename = offers("posix-rename@openssh.com", "1"),
                   .fsync = offers("fsync@openssh.com", "1"),
                   .statvfs = offers("statvfs@openssh.com", "2"),
                   .hardlink = offers("hardlink@openssh.com", "1")};
    if (!offers("limits@openssh.com", "1")) return;
    limits_ = ask(SftpRequest::extended, [](SftpPacketWriter& packet) { packet.text("limits@openssh.com"); });
}

void SftpClient::exchange(const WorkControl& control) {
    control.check();
    if (packet_ != 0) {
        in_begin_ += packet_;
        packet_ = 0;
    }
    if (in_begin_ == in_end_) {
        in_begin_ = in_end_ = 0;
    } else if (in_.size() - in_end_ < longest_sftp_packet) {
        std::memmove(in_.data(), in_.data() + in_begin_, in_end_ - in_begin_);
        in_end_ -= in_begin_;
        in_begin_ = 0;
    }
    const SteadyTime now = steady_now();
    const SteadyTime patient = tuning_.patience < SteadyTime::max() - now ? now + tuning_.patience : SteadyTime::max();
    const std::span<const std::byte> out = std::as_bytes(std::span(out_.data() + out_begin_, out_.size() - out_begin_));
    MovedBytes moved;
    try {
        moved = bytes_->move(out, std::span(in_).subspan(in_end_), control.stop, std::min(patient, control.deadline));
    } catch (const Error& error) {
        if (error.code != ErrorCode::cancelled) broken_ = true;
        throw;
    }
    if (moved.sent == 0 && moved.received == 0) {
        broken_ = true;
        control.check();
        throw Error{ErrorCode::slow, "the SFTP server was silent for " + to_human(tuning_.patience)};
    }
    in_end_ += moved.received;
    out_begin_ += moved.sent;
    if (out_begin_ == out_.size()) {
        out_.clear();
        out_begin_ = 0;
    } else if (out_begin_ > send_buffer) {
        out_.erase(0, out_begin_);
        out_begin_ = 0;
    }
}

std::optional<std::span<const std::byte>> SftpClient::packet_at_hand() {
    in_begin_ += packet_;
    packet_ = 0;
    const std::span<const std::byte> received = std::span(in_).subspan(in_begin_, in_end_ - in_begin_);
    std::optional<std::size_t> size;
    try {
        size = sftp_packet_size(received);
    } catch (const Error&) {
        broken_ = true;
        throw;
    }
    if (!size || *size > received.size()) return std::nullopt;
    packet_ = *size;
    return received.subspan(4, *size - 4);
}

std::span<const std::byte> SftpClient::next_packet(const WorkControl& control) {
    for (;;) {
        if (const auto packet = packet_at_hand()) return *packet;
        exchange(control);
    }
}

SftpReply SftpClient::accept(std::span<const std::byte> packet) {
    try {
        SftpReply reply = decode_sftp_reply(packet);
        if (asked_.erase(reply.id) == 0) distrust("answered a request that was never made");
        if (limits_ == reply.id) {
            limits_.reset();
            if (const auto* answer = std::get_if<SftpExtended>(&reply.answer)) {
                const SftpLimits limits = decode_sftp_limits(answer->bytes);
                read_block_ = block_size(limits.read, limits.packet, tuning_.largest_block);
                write_block_ = block_size(limits.write, limits.packet, tuning_.largest_block);
            }
        }
        return reply;
    } catch (const Error&) {
        broken_ = true;
        throw;
    }
}

SftpReply SftpClient::reply_to(std::uint32_t id, const WorkControl& control) {
    for (;;) {
        SftpReply reply = accept(next_packet(control));
        if (reply.id == id) return reply;
    }
}

template <typename Answer>
Answer SftpClient::answer_to(std::uint32_t id, std::string_view tried, const WorkControl& control) {
    SftpReply reply = reply_to(id, control);
    if (auto* answer = std::get_if<Answer>(&reply.answer)) return std::move(*answer);
    const auto* status = std::get_if<SftpStatus>(&reply.answer);
    if (status == nullptr || status->ok()) distrust("gave an answer of the wrong kind");
    throw sftp_error(tried, *status);
}

void SftpClient::expect_ok(std::uint32_t id, std::string_view tried, const WorkControl& control) {
    const auto status = answer_to<SftpStatus>(id, tried, control);
    if (!status.ok()) throw sftp_error(tried, status);
}

std::optional<SftpAttributes> SftpClient::attributes_of(SftpReply reply, std::string_view tried) {
    if (const auto* attributes = std::get_if<SftpAttributes>(&reply.answer)) return *attributes;
    const auto* status = std::get_if<SftpStatus>(&reply.answer);
    if (status == nullptr || status->ok()) distrust("gave an answer of the wrong kind");
    if (status->no_such_file()) return std::nullopt;
    throw sftp_error(tried, *status);
}

std::vector<std::optional<SftpAttributes>> SftpClient::lstat(std::span<const std::string> paths,
                                                             const WorkControl& control) {
    std::vector<std::uint32_t> ids;
    for (const std::string& path : paths)
        ids.push_back(ask(SftpRequest::lstat, [&](SftpPacketWriter& packet) { packet.text(path); }));
    std::vector<std::optional<SftpAttributes>> found(paths.size());
    std::optional<Error> refusal;
    for (std::size_t left = ids.size(); left > 0;) {
        SftpReply reply = accept(next_packet(control));
        const auto which = std::find(ids.begin(), ids.end(), reply.id);
        if (which == ids.end()) continue;
        --left;
        const auto at = static_cast<std::size_t>(which - ids.begin());
        try {
            found[at] = attributes_of(std::move(reply), quoted("look at", paths[at]));
        } catch (const Error& error) {
            if (broken_) throw;
            if (!refusal) refusal = error;
        }
    }
    if (refusal) throw *refusal;
    return found;
}

std::optional<SftpAttributes> SftpClient::lstat(const std::string& path, const WorkControl& control) {
    return lstat(std::span(&path, 1), control).front();
}

std::optional<SftpAttributes> SftpClient::stat(const std::string& path, const WorkControl& control) {
    const std::uint32_t id = ask(SftpRequest::stat, [&](SftpPacketWriter& packet) { packet.text(path); });
    return attributes_of(reply_to(id, control), quoted("look at", path));
}

SftpClient::Found SftpClient::look_and_open(std::span<const std::string> paths, const WorkControl& control) {
    std::vector<std::uint32_t> ids;
    for (const std::string& path : paths)
        ids.push_back(ask(SftpRequest::lstat, [&](SftpPacketWriter& packet) { packet.text(path); }));
    const std::string& path = paths.back();
    ids.push_back(ask(SftpRequest::open, [&](SftpPacketWriter& packet) {
        packet.text(path).number(static_cast<std::uint32_t>(SftpOpen::read)).attributes({});
    }));
    Found found;
    found.facts.resize(paths.size());
    for (std::size_t left = ids.size(); left > 0;) {
        SftpReply reply = accept(next_packet(control));
        const auto which = std::find(ids.begin(), ids.end(), reply.id);
        if (which == ids.end()) continue;
        --left;
        const auto at = static_cast<std::size_t>(which - ids.begin());
        if (auto* handle = std::get_if<SftpHandle>(&reply.answer); handle != nullptr && at == paths.size()) {
            found.handle = std::move(handle->handle);
            continue;
        }
        try {
            if (at < paths.size()) {
                found.facts[at] = attributes_of(std::move(reply), quoted("look at", paths[at]));
            } else if (!attributes_of(std::move(reply), quoted("open", path)) && !found.refusal) {
                found.refusal = Error{ErrorCode::not_found, "there is no '" + path + "'"};
            }
        } catch (const Error& error) {
            if (broken_) throw;
            if (!found.refusal) found.refusal = error;
        }
    }
    return found;
}

std::string SftpClient::open(const std::string& path, SftpOpen how, const WorkControl& control) {
    const std::uint32_t id = ask(SftpRequest::open, [&](SftpPacketWriter& packet) {
        SftpAttributes attributes;
        if (how == SftpOpen::create_exclusively) attributes.permissions = 0600;
        packet.text(path).number(static_cast<std::uint32_t>(how)).attributes(attributes);
    });
    const char* const tried = how == SftpOpen::read ? "open" : "make";
    return answer_to<SftpHandle>(id, quoted(tried, path), control).handle;
}

SftpAttributes SftpClient::fstat(const std::string& handle, const WorkControl& control) {
    const std::uint32_t id = ask(SftpRequest::fstat, [&](SftpPacketWriter& packet) { packet.text(handle); });
    return answer_to<SftpAttributes>(id, "look at the open file", control);
}

void SftpClient::set_modified(const std::string& handle, std::uint32_t seconds, const WorkControl& control) {
    const std::uint32_t id = ask(SftpRequest::fsetstat, [&](SftpPacketWriter& packet) {
        SftpAttributes attributes;
        attributes.modified = seconds;
        packet.text(handle).attributes(attributes);
    });
    expect_ok(id, "set the time of the open file", control);
}

void SftpClient::fsync(const std::string& handle, const WorkControl& control) {
    const std::uint32_t id =
        ask(SftpRequest::extended, [&](SftpPacketWriter& packet) { packet.text("fsync@openssh.com").text(handle); });
    expect_ok(id, "sync the open file", control);
}

void SftpClient::close(const std::string& handle, const WorkControl& control) {
    const std::uint32_t id = ask(SftpRequest::close, [&](SftpPacketWriter& packet) { packet.text(handle); });
    expect_ok(id, "close the file", control);
}

void SftpClient::let_go(const std::string& handle) {
    ask(SftpRequest::close, [&](SftpPacketWriter& packet) { packet.text(handle); });
}

std::uint64_t SftpClient::read(const std::string& handle, std::uint64_t offset, std::uint64_t length,
                               const ByteSink& sink, const WorkControl& control,
                               const std::function<void(const SftpAttributes&)>& check) {
    struct Block {
        std::uint32_t id = 0;
        std::uint64_t at = 0;
        std::size_t size = 0;
        std::size_t got = 0;          // at the front of the block
        std::vector<std::byte> held;  // of it what the sink does not have yet: earlier blocks are still missing
        bool answered() const { return got == size; }
    };
    std::deque<Block> blocks;  // on their way, in the order of the file
    std::size_t on_the_way = 0;
    std::uint64_t end = length < UINT64_MAX - offset ? offset + length : UINT64_MAX;
    std::uint64_t next = offset;
    std::uint64_t given = 0;
    std::optional<Error> refusal;
    bool looking = static_cast<bool>(check);
    std::uint32_t look = 0;
    if (looking) look = ask(SftpRequest::fstat, [&](SftpPacketWriter& packet) { packet.text(handle); });

    const auto ask_for = [&](Block& block) {
        block.id = ask(SftpRequest::read, [&](SftpPacketWriter& packet) {
            packet.text(handle).large_number(block.at + block.got);
            packet.number(static_cast<std::uint32_t>(block.size - block.got));
        });
    };
    const auto give = [&](std::span<const std::byte> bytes) {
        given += bytes.size();
        sink(bytes);
    };
    const auto give_what_is_complete = [&] {
        while (!blocks.empty()) {
            Block& front = blocks.front();
            if (front.at < end && !front.held.empty()) give(front.held);
            front.held = {};
            if (!front.answered()) break;
            on_the_way -= front.size;
            blocks.pop_front();
        }
    };

    for (;;) {
        while (next < end && (blocks.empty() || on_the_way + read_block_ <= tuning_.window)) {
            Block& block = blocks.emplace_back();
            block.at = next;
            block.size = static_cast<std::size_t>(std::min<std::uint64_t>(read_block_, end - next));
            ask_for(block);
            on_the_way += block.size;
            next += block.size;
        }
        if (blocks.empty() && !looking) break;
        SftpReply reply = accept(next_packet(control));
        if (looking && reply.id == look) {
            looking = false;
            const auto opened = attributes_of(std::move(reply), "look at the open file");
            if (!opened) throw Error{ErrorCode::io_failed, "the open file is not there any more"};
            check(*opened);
            give_what_is_complete();
            continue;
        }
        const auto block = std::find_if(blocks.begin(), blocks.end(),
                                        [&](const Block& each) { return !each.answered() && each.id == reply.id; });
        if (block == blocks.end()) continue;
        if (const auto* status = std::get_if<SftpStatus>(&reply.answer)) {
            if (status->ok()) distrust("answered a read without content");
            if (!status->end_of_file() && !refusal) refusal = sftp_error("read the open file", *status);
            // nothing behind this place is wanted any more; the blocks there are only waited for
            end = std::min(end, block->at + block->got);
            next = std::max(next, end);
            block->size = block->got;
        } else if (const auto* content = std::get_if<SftpContent>(&reply.answer)) {
            const std::span<const std::byte> bytes = content->bytes;
            if (bytes.empty() || bytes.size() > block->size - block->got)
                distrust("answered a read of " + std::to_string(block->size - block->got) + " bytes with " +
                         std::to_string(bytes.size()));
            block->got += bytes.size();
            if (!block->answered()) ask_for(*block);
            if (block == blocks.begin() && block->at < end && !looking && block->held.empty()) {
                give(bytes);
            } else {
                block->held.reserve(block->size);
                block->held.insert(block->held.end(), bytes.begin(), bytes.end());
            }
        } else {
            distrust("answered a read with something else");
        }
        if (!looking) give_what_is_complete();
    }
    if (refusal) throw *refusal;
    return given;
}

std::uint64_t SftpClient::write(const std::string& handle, const ByteSource& source, const WorkControl& control) {
    std::unordered_set<std::uint32_t> blocks;  // on their way
    std::uint64_t at = 0;
    bool ended = false;
    std::optional<Error> refusal;
    const auto has_room = [&] {
        return (blocks.empty() || (blocks.size() + 1) * write_block_ <= tuning_.window) &&
               out_.size() - out_begin_ < send_buffer;
    };
    for (;;) {
        while (const auto packet = packet_at_hand()) {
            const SftpReply reply = accept(*packet);
            if (blocks.erase(reply.id) == 0) continue;
            const auto* status = std::get_if<SftpStatus>(&reply.answer);
            if (status == nullptr) distrust("answered a write with something else");
            if (status->ok()) continue;
            if (!refusal) refusal = sftp_error("write the open file", *status);
            ended = true;
        }
        if (ended && blocks.empty()) break;
        if (ended || !has_room()) {
            exchange(control);
            continue;
        }
        const std::size_t before = out_.size();
        std::size_t count = 0;
        const std::uint32_t id = ask(SftpRequest::write, [&](SftpPacketWriter& packet) {
            count = packet.text(handle).large_number(at).content(source, write_block_);
        });
        ended = count < write_block_;
        if (count == 0) {
            out_.resize(before);
            asked_.erase(id);
            continue;
        }
        blocks.insert(id);
        at += count;
        control.advance(count);
    }
    if (refusal) throw *refusal;
    return at;
}

void SftpClient::settle(const WorkControl& control) {
    while (!asked_.empty())
        accept(next_packet(control));
}

std::optional<std::vector<SftpName>> SftpClient::read_folder(const std::string& path, const WorkControl& control) {
    const std::string tried = quoted("list the folder", path);
    const std::uint32_t opening = ask(SftpRequest::opendir, [&](SftpPacketWriter& packet) { packet.text(path); });
    SftpReply opened = reply_to(opening, control);
    if (const auto* status = std::get_if<SftpStatus>(&opened.answer)) {
        if (status->ok()) distrust("opened a folder without a handle");
        if (status->no_such_file()) return std::nullopt;
        throw sftp_error(tried, *status);
    }
    if (!std::holds_alternative<SftpHandle>(opened.answer)) distrust("gave an answer of the wrong kind");
    const std::string handle = std::get<SftpHandle>(opened.answer).handle;

    std::vector<SftpName> all;
    std::unordered_set<std::uint32_t> pages;  // on their way
    bool ended = false;
    std::optional<Error> refusal;
    while (!ended || !pages.empty()) {
        while (!ended && pages.size() < listing_depth)
            pages.insert(ask(SftpRequest::readdir, [&](SftpPacketWriter& packet) { packet.text(handle); }));
        SftpReply reply = accept(next_packet(control));
        if (pages.erase(reply.id) == 0) continue;
        if (const auto* status = std::get_if<SftpStatus>(&reply.answer)) {
            if (status->ok()) distrust("answered a listing without names");
            if (!status->end_of_file() && !refusal) refusal = sftp_error(tried, *status);
            ended = true;
            continue;
        }
        auto* names = std::get_if<SftpNames>(&reply.answer);
        if (names == nullptr || names->empty()) distrust("answered a listing without names");
        for (SftpName& each : *names) {
            if (each.name != "." && each.name != "..") all.push_back(std::move(each));
        }
        if (all.size() > tuning_.most_names && !refusal) {
            refusal = Error{ErrorCode::limit_exceeded, "cannot " + tried + ": it holds more than " +
                                                           std::to_string(tuning_.most_names) + " names"};
            ended = true;
        }
    }
    let_go(handle);
    if (refusal) throw *refusal;
    return all;
}

void SftpClient::make_folder(const std::string& path, const WorkControl& control) {
    const std::uint32_t id = ask(SftpRequest::mkdir, [&](SftpPacketWriter& packet) {
        SftpAttributes attributes;
        attributes.permissions = 0700;
        packet.text(path).attributes(attributes);
    });
    expect_ok(id, quoted("make the folder", path), control);
}

void SftpClient::remove_folder(const std::string& path, const WorkControl& control) {
    const std::uint32_t id = ask(SftpRequest::rmdir, [&](SftpPacketWriter& packet) { packet.text(path); });
    expect_ok(id, quoted("remove the folder", path), control);
}

void SftpClient::remove(const std::string& path, const WorkControl& control) {
    const std::uint32_t id = ask(SftpRequest::remove, [&](SftpPacketWriter& packet) { packet.text(path); });
    expect_ok(id, quoted("remove", path), control);
}

void SftpClient::rename(const std::string& from, const std::string& to, const WorkControl& control) {
    const std::uint32_t id = ask(SftpRequest::rename, [&](SftpPacketWriter& packet) { packet.text(from).text(to); });
    expect_ok(id, quoted("rename to", to), control);
}

void SftpClient::posix_rename(const std::string& from, const std::string& to, const WorkControl& control) {
    const std::uint32_t id = ask(SftpRequest::extended, [&](SftpPacketWriter& packet) {
        packet.text("posix-rename@openssh.com").text(from).text(to);
    });
    expect_ok(id, quoted("rename to", to), control);
}

void SftpClient::hard_link(const std::string& existing, const std::string& name, const WorkControl& control) {
    const std::uint32_t id = ask(SftpRequest::extended, [&](SftpPacketWriter& packet) {
        packet.text("hardlink@openssh.com").text(existing).text(name);
    });
    expect_ok(id, quoted("link", name), control);
}

SftpSpace SftpClient::space_at(const std::string& path, const WorkControl& control) {
    const std::uint32_t id =
        ask(SftpRequest::extended, [&](SftpPacketWriter& packet) { packet.text("statvfs@openssh.com").text(path); });
    return decode_sftp_space(answer_to<SftpExtended>(id, quoted("learn the free space at", path), control).bytes);
}

}  // namespace lifeboat
