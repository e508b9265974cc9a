#include "world/sftp_protocol.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <random>

#include <sys/stat.h>

using namespace lifeboat;

namespace {

std::string number(std::uint32_t value) {
    std::string text;
    for (int shift = 24; shift >= 0; shift -= 8)
        text += static_cast<char>(value >> shift & 0xff);
    return text;
}

std::string field(const std::string& value) {
    return number(static_cast<std::uint32_t>(value.size())) + value;
}

std::string packet(int type, const std::string& content) {
    return number(static_cast<std::uint32_t>(content.size() + 1)) + static_cast<char>(type) + content;
}

std::string status(std::uint32_t id, std::uint32_t code) {
    return packet(101, number(id) + number(code) + field("words") + field(""));
}

std::uint32_t number_at(const std::string& text, std::size_t at) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i)
        value = value << 8 | static_cast<unsigned char>(text.at(at + i));
    return value;
}

// The other side, in memory: a server that does with each request what a test says. Between the two, bytes travel in
// pieces of any size.
class ScriptedServer final : public ByteDuplex {
  public:
    // Of a request without its length: type, id, rest.
    using Answer = std::function<std::string(int type, std::uint32_t id, const std::string& rest)>;

    explicit ScriptedServer(Answer answer, std::size_t largest_piece = 1u << 20)
        : answer_(std::move(answer)), largest_piece_(largest_piece) {}

    std::string greeting = packet(2, number(3));
    // Whether answers are held back and given in disorder.
    bool disorder = false;

    MovedBytes move(std::span<const std::byte> out, std::span<std::byte> in, const std::stop_token&,
                    SteadyTime) override {
        MovedBytes moved;
        moved.sent = std::min({out.size(), largest_piece_, std::size_t{1000}});
        received_.append(reinterpret_cast<const char*>(out.data()), moved.sent);
        take_requests();
        if (moved.sent == 0 && to_send_.empty()) release();
        moved.received = std::min({in.size(), largest_piece_, to_send_.size()});
        std::memcpy(in.data(), to_send_.data(), moved.received);
        to_send_.erase(0, moved.received);
        return moved;
    }

  private:
    void take_requests() {
        while (received_.size() >= 4 && received_.size() - 4 >= number_at(received_, 0)) {
            const std::string request = received_.substr(4, number_at(received_, 0));
            received_.erase(0, request.size() + 4);
            if (request.at(0) == 1) {
                to_send_ += greeting;
                continue;
            }
            const std::string reply = answer_(request.at(0), number_at(request, 1), request.substr(5));
            if (disorder) {
                held_.push_back(reply);
            } else {
                to_send_ += reply;
            }
        }
    }
    void release() {
        std::shuffle(held_.begin(), held_.end(), random_);
        for (const std::string& each : held_)
            to_send_ += each;
        held_.clear();
    }

    Answer answer_;
    std::size_t largest_piece_;
    std::string received_;
    std::string to_send_;
    std::vector<std::string> held_;
    std::mt19937 random_{7};
};

std::string random_text(std::size_t size) {
    std::mt19937 random(11);
    std::string text(size, '\0');
    for (char& letter : text)
        letter = static_cast<char>(random());
    return text;
}

// Answers reads out of `content`; a read of more than `most` bytes is short.
ScriptedServer::Answer reader_of(const std::string& content, std::size_t most) {
    return [&content, most](int type, std::uint32_t id, const std::string& rest) {
        if (type != 5) return status(id, 0);
        const std::size_t handle = number_at(rest, 0) + 4;
        const std::uint64_t at = std::uint64_t{number_at(rest, handle)} << 32 | number_at(rest, handle + 4);
        const std::size_t wanted = number_at(rest, handle + 8);
        if (at >= content.size()) return status(id, 1);
        return packet(103, number(id) + field(content.substr(at, std::min(wanted, most))));
    };
}

std::unique_ptr<SftpClient> client_of(std::unique_ptr<ScriptedServer> server, SftpTuning tuning = {}) {
    return std::make_unique<SftpClient>(std::move(server), tuning, WorkControl{});
}

ErrorCode code_of(const std::function<void()>& call) {
    try {
        call();
    } catch (const Error& error) {
        return error.code;
    }
    return ErrorCode::internal;
}

}  // namespace

TEST_CASE("R32 reads are whole and in order, however short and disordered the answers come") {
    const std::string content = random_text((1u << 20) + 4711);
    for (const std::size_t most : {std::size_t{1u << 20}, std::size_t{32768}, std::size_t{10000}, std::size_t{333}}) {
        for (const bool disorder : {false, true}) {
            for (const std::size_t piece : {std::size_t{1u << 20}, std::size_t{1013}}) {
                CAPTURE(most, disorder, piece);
                auto server = std::make_unique<ScriptedServer>(reader_of(content, most), piece);
                server->disorder = disorder;
                const auto client = client_of(std::move(server), {.window = 256u << 10});
                std::string got;
                const auto sink = [&](std::span<const std::byte> bytes) {
                    got.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
                };
                CHECK(client->read("h", 0, content.size(), sink, {}) == content.size());
                CHECK(got == content);
                got.clear();
                CHECK(client->read("h", 1000, 5000, sink, {}) == 5000);
                CHECK(got == content.substr(1000, 5000));
                // the file is shorter than was thought
                got.clear();
                CHECK(client->read("h", 900'000, 1u << 20, sink, {}) == content.size() - 900'000);
                CHECK(got == content.substr(900'000));
                CHECK(client->reusable());
            }
        }
    }
}

TEST_CASE("what an open file is can be checked before its first byte is given") {
    const std::string content = random_text(300'000);
    for (const bool disorder : {false, true}) {
        auto server = std::make_unique<ScriptedServer>([&](int type, std::uint32_t id, const std::string& rest) {
            if (type == 8) return packet(105, number(id) + number(1) + number(0) + number(4711));
            return reader_of(content, 5000)(type, id, rest);
        });
        server->disorder = disorder;
        const auto client = client_of(std::move(server));
        std::string got;
        const auto sink = [&](std::span<const std::byte> bytes) {
            got.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        };
        int checks = 0;
        const auto check = [&](const SftpAttributes& opened) {
            CHECK(opened.size == 4711u);
            CHECK(got.empty());
            ++checks;
        };
        CHECK(client->read("h", 0, content.size(), sink, {}, check) == content.size());
        CHECK(got == content);
        got.clear();
        CHECK(client->read("h", 0, 0, sink, {}, check) == 0);
        CHECK(checks == 2);
        const auto refuse = [](const SftpAttributes&) { throw Error{ErrorCode::moved, "another"}; };
        CHECK(code_of([&] { client->read("h", 0, content.size(), sink, {}, refuse); }) == ErrorCode::moved);
        CHECK(got.empty());
    }
}

TEST_CASE("writes arrive whole at their places, answered in any order") {
    const std::string content = random_text((1u << 20) + 99);
    std::string file;
    auto server = std::make_unique<ScriptedServer>([&](int type, std::uint32_t id, const std::string& rest) {
        if (type != 6) return status(id, 0);
        const std::size_t handle = number_at(rest, 0) + 4;
        const std::size_t at = number_at(rest, handle + 4);
        const std::string bytes = rest.substr(handle + 12);
        file.resize(std::max(file.size(), at + bytes.size()));
        file.replace(at, bytes.size(), bytes);
        return status(id, 0);
    });
    server->disorder = true;
    const auto client = client_of(std::move(server));
    std::size_t given = 0;
    const auto source = [&](std::span<std::byte> into) {
        const std::size_t count = std::min({into.size(), content.size() - given, std::size_t{5000}});
        std::memcpy(into.data(), content.data() + given, count);
        given += count;
        return count;
    };
    CHECK(client->write("h", source, {}) == content.size());
    CHECK(file == content);
    CHECK(client->reusable());
}

TEST_CASE("a write that is refused says so after everything that was on its way is answered") {
    int writes = 0;
    const auto client = client_of(std::make_unique<ScriptedServer>([&](int type, std::uint32_t id, const std::string&) {
        return status(id, type == 6 && ++writes == 3 ? 4 : 0);
    }));
    std::uint64_t given = 0;
    const auto source = [&](std::span<std::byte> into) {
        given += into.size();
        return given < (8u << 20) ? into.size() : 0;
    };
    try {
        client->write("h", source, {});
        FAIL("it was written");
    } catch (const Error& error) {
        CHECK(error.code == ErrorCode::io_failed);
        CHECK(error.message == "cannot write the open file: the server says 'words'");
        CHECK(error.details == Json{{"sftp_status", 4}});
    }
    CHECK(given < (8u << 20));
    CHECK(client->reusable());
    client->close("h", {});
}

TEST_CASE("refusals keep their meaning") {
    struct Case {
        std::uint32_t status;
        ErrorCode code;
    };
    for (const Case& each : {Case{2, ErrorCode::not_found}, Case{3, ErrorCode::denied}, Case{4, ErrorCode::io_failed},
                             Case{7, ErrorCode::connection_lost}, Case{8, ErrorCode::unsupported},
                             Case{11, ErrorCode::already_exists}, Case{14, ErrorCode::disk_full}}) {
        const auto client = client_of(std::make_unique<ScriptedServer>(
            [&](int, std::uint32_t id, const std::string&) { return status(id, each.status); }));
        CHECK(code_of([&] { client->remove("x", {}); }) == each.code);
        CHECK(client->reusable());
    }
}

TEST_CASE("R32 a hostile server gets an error, not memory and not time") {
    using Answer = ScriptedServer::Answer;
    const auto read = [](SftpClient& client) { client.read("h", 0, 1u << 20, [](auto) {}, {}); };
    const auto list = [](SftpClient& client) { client.read_folder("d", {}); };
    struct Case {
        const char* what;
        Answer answer;
        std::function<void(SftpClient&)> call;
    };
    const std::string flags_of_all(4, '\xff');
    const std::vector<Case> cases{
        {"a huge packet", [](int, std::uint32_t, auto&) { return number(0x7fffffff) + "x"; }, read},
        {"an empty packet", [](int, std::uint32_t, auto&) { return number(0); }, read},
        {"an answer to nothing", [](int, std::uint32_t id, auto&) { return status(id + 99999, 0); }, read},
        {"the same answer twice", [](int, std::uint32_t id, auto&) { return status(id, 1) + status(id, 1); }, read},
        {"nothing in an answer", [](int, std::uint32_t id, auto&) { return packet(103, number(id) + field("")); },
         read},
        {"more than was asked for",
         [](int, std::uint32_t id, auto&) { return packet(103, number(id) + field(std::string(100'000, 'x'))); }, read},
        {"a length beyond the packet",
         [](int, std::uint32_t id, auto&) { return packet(103, number(id) + number(5000) + "x"); }, read},
        {"success without content", [](int, std::uint32_t id, auto&) { return status(id, 0); }, read},
        {"names instead of content", [](int, std::uint32_t id, auto&) { return packet(104, number(id) + number(0)); },
         read},
        {"an unknown kind of packet", [](int, std::uint32_t id, auto&) { return packet(77, number(id)); }, read},
        {"a packet cut short", [](int, std::uint32_t, auto&) { return packet(103, "ab"); }, read},
        {"a handle of 1000 bytes",
         [](int, std::uint32_t id, auto&) { return packet(102, number(id) + field(std::string(1000, 'h'))); }, list},
        {"folders without an end and without names",
         [](int type, std::uint32_t id, auto&) {
             return type == 11 ? packet(102, number(id) + field("h")) : packet(104, number(id) + number(0));
         },
         list},
        {"four thousand million names",
         [&](int type, std::uint32_t id, auto&) {
             return type == 11 ? packet(102, number(id) + field("h")) : packet(104, number(id) + flags_of_all);
         },
         list},
        {"attributes with too many extensions",
         [&](int, std::uint32_t id, auto&) { return packet(105, number(id) + flags_of_all + flags_of_all); },
         [](SftpClient& client) { client.fstat("h", {}); }},
    };
    for (const Case& each : cases) {
        INFO(each.what);
        const auto client = client_of(std::make_unique<ScriptedServer>(each.answer));
        CHECK(code_of([&] { each.call(*client); }) == ErrorCode::protocol_failed);
        CHECK_FALSE(client->reusable());
    }
}

TEST_CASE("a folder of more names than can be held is an error") {
    const auto client = client_of(std::make_unique<ScriptedServer>([](int type, std::uint32_t id, auto&) {
                                      if (type == 11) return packet(102, number(id) + field("h"));
                                      if (type != 12) return status(id, 0);
                                      return packet(104, number(id) + number(2) + field("a") + field("") + number(0) +
                                                             field("b") + field("") + number(0));
                                  }),
                                  {.most_names = 100});
    CHECK(code_of([&] { client->read_folder("d", {}); }) == ErrorCode::limit_exceeded);
    CHECK(client->reusable());
}

TEST_CASE("a server that greets wrongly is told apart") {
    const auto greeted = [](const std::string& greeting) {
        auto server = std::make_unique<ScriptedServer>(ScriptedServer::Answer{});
        server->greeting = greeting;
        try {
            client_of(std::move(server));
        } catch (const Error& error) {
            return error;
        }
        return Error{ErrorCode::internal, "no error"};
    };
    CHECK(greeted(packet(2, number(2))).message == "the SFTP server speaks only version 2");
    CHECK(greeted(packet(101, number(3))).code == ErrorCode::protocol_failed);
    CHECK(greeted("Welcome to this host\n").message == "the SFTP server began with text instead of its version");
    CHECK(greeted(packet(2, number(3) + number(4000))).code == ErrorCode::protocol_failed);
}

TEST_CASE("a server that says nothing is slow, and out of time at the deadline") {
    const auto client =
        client_of(std::make_unique<ScriptedServer>([](int, std::uint32_t, auto&) { return std::string(); }));
    CHECK(code_of([&] { client->lstat("x", {}); }) == ErrorCode::slow);
    CHECK_FALSE(client->reusable());
    CHECK(code_of([&] { client->lstat("x", {.deadline = SteadyTime{}}); }) == ErrorCode::timed_out);
}

TEST_CASE("requests are encoded as the draft says") {
    std::string out;
    {
        SftpAttributes attributes;
        attributes.permissions = 0600;
        SftpPacketWriter(out, SftpRequest::open).number(7).text("a/b").number(0x2a).attributes(attributes);
    }
    CHECK(out == packet(3, number(7) + field("a/b") + number(0x2a) + number(4) + number(0600)));
    out.clear();
    SftpPacketWriter(out, SftpRequest::read).number(1).text("h").large_number(0x100000002).number(3);
    CHECK(out == packet(5, number(1) + field("h") + number(1) + number(2) + number(3)));
}

TEST_CASE("answers are decoded with all that they can hold") {
    const std::string attributes = number(0x8000000f) + number(1) + number(5) + number(10) + number(20) +
                                   number(S_IFREG | 0644) + number(100) + number(200) + number(1) + field("x") +
                                   field("y");
    const std::string names = packet(104, number(9) + number(1) + field("n") + field("long n") + attributes);
    const auto reply = decode_sftp_reply(std::as_bytes(std::span(names)).subspan(4));
    CHECK(reply.id == 9);
    const SftpName& name = std::get<SftpNames>(reply.answer).at(0);
    CHECK(name.name == "n");
    CHECK(name.attributes.size == (std::uint64_t{1} << 32) + 5);
    CHECK(name.attributes.modified == 200u);
    CHECK(name.attributes.is_file());
    CHECK_FALSE(name.attributes.is_folder());
    // every cut is noticed
    for (std::size_t size = 0; size + 4 < names.size(); ++size)
        CHECK(code_of([&] { decode_sftp_reply(std::as_bytes(std::span(names)).subspan(4, size)); }) ==
              ErrorCode::protocol_failed);
}
