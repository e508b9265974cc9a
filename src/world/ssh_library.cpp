#include "world/ssh_library.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <optional>

#include <libssh2.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/text.h"
#include "world/file_descriptor.h"
#include "world/files.h"
#include "world/name_lookup.h"
#include "world/socket_wait.h"
#include "world/ssh_host_keys.h"

namespace lifeboat {

namespace {

constexpr unsigned int channel_window = 8u << 20;
constexpr unsigned int channel_packet = 32u << 10;
// Of one read: the library walks its queue of packets once for it.
constexpr std::size_t largest_read = 1u << 20;

int port_of(const SshTarget& target) {
    return target.port == 0 ? 22 : target.port;
}

[[noreturn]] void throw_ended(Wake wake, const SshTarget& target) {
    if (wake == Wake::stopped)
        throw Error{ErrorCode::cancelled, "the connection to " + to_text(target) + " was stopped"};
    throw Error{ErrorCode::timed_out, to_text(target) + ": no connection in time"};
}

FileDescriptor connect_socket(const SshTarget& target, const WorkControl& control) {
    const std::string tried = "connect to " + to_text(target);
    std::string last = "no address";
    for (const std::string& address : look_up_addresses(target.host, control.stop, control.deadline, tried)) {
        addrinfo hints{};
        hints.ai_socktype = SOCK_STREAM;
        hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
        addrinfo* found = nullptr;
        if (::getaddrinfo(address.c_str(), std::to_string(port_of(target)).c_str(), &hints, &found) != 0) continue;
        const std::unique_ptr<addrinfo, void (*)(addrinfo*)> held(found, ::freeaddrinfo);
        FileDescriptor socket(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        if (!socket) throw_errno("make a socket", errno);
        int failure = ::connect(socket.get(), found->ai_addr, found->ai_addrlen) == 0 ? 0 : errno;
        if (failure == EINPROGRESS) {
            const Wake wake = wait_for_socket(socket.get(), POLLOUT, control.stop, control.deadline);
            if (wake != Wake::ready) throw_ended(wake, target);
            socklen_t size = sizeof failure;
            ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &failure, &size);
        }
        if (failure == 0) {
            const int on = 1;
            ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            ::setsockopt(socket.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
            return socket;
        }
        last = address + ": " + std::strerror(failure);
    }
    throw ssh_error(ErrorCode::unreachable, target, "unreachable", "cannot connect: " + last,
                    "Check host and port, and that sshd runs there.");
}

// Nothing is said to the server any more: a session that still wanted to would not go without waiting.
struct SessionEnd {
    int socket = -1;
    void operator()(LIBSSH2_SESSION* session) const {
        constexpr int tries = 100;
        ::shutdown(socket, SHUT_RDWR);
        for (int i = 0; i < tries && ::libssh2_session_free(session) == LIBSSH2_ERROR_EAGAIN; ++i) {
        }
    }
};
using Session = std::unique_ptr<LIBSSH2_SESSION, SessionEnd>;

struct AgentEnd {
    void operator()(LIBSSH2_AGENT* agent) const {
        ::libssh2_agent_disconnect(agent);
        ::libssh2_agent_free(agent);
    }
};

// Type names as in files → what the library negotiates with.
std::vector<std::string> host_key_order(const std::vector<std::string>& first, const std::vector<std::string>& never) {
    std::vector<std::string> order;
    const auto add = [&](const std::string& type) {
        const auto is = [&](const std::string& each) { return each == type; };
        if (std::none_of(order.begin(), order.end(), is) && std::none_of(never.begin(), never.end(), is))
            order.push_back(type);
    };
    const std::vector<std::string> all{"ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384",
                                       "ecdsa-sha2-nistp521", "ssh-rsa"};
    for (const std::string& type : first) {
        if (std::find(all.begin(), all.end(), type) != all.end()) add(type);
    }
    for (const std::string& type : all)
        add(type);
    return order;
}

// One connection on its way to being of use; every call is repeated until the library needs to wait no more.
class Connection {
  public:
    Connection(const SshTarget& target, const WorkControl& control) : target_(target), control_(control) {
        static std::once_flag started;
        std::call_once(started, [] { ::libssh2_init(0); });
        socket_ = connect_socket(target, control);
        session_ = Session(::libssh2_session_init(), SessionEnd{socket_.get()});
        if (!session_) throw Error{ErrorCode::limit_exceeded, "no memory for an SSH session"};
        ::libssh2_session_set_blocking(session_.get(), 0);
        // nothing with CBC or MD5 is offered
        prefer(LIBSSH2_METHOD_CRYPT_CS, "aes128-ctr,aes256-ctr,aes192-ctr");
        prefer(LIBSSH2_METHOD_CRYPT_SC, "aes128-ctr,aes256-ctr,aes192-ctr");
        prefer(LIBSSH2_METHOD_MAC_CS, "hmac-sha2-256,hmac-sha2-512,hmac-sha1");
        prefer(LIBSSH2_METHOD_MAC_SC, "hmac-sha2-256,hmac-sha2-512,hmac-sha1");
    }

    void prefer(int method, const std::string& names) const {
        ::libssh2_session_method_pref(session_.get(), method, names.c_str());
    }

    template <typename Call>
    int repeat(Call&& call) const {
        for (;;) {
            const int result = call();
            if (result != LIBSSH2_ERROR_EAGAIN) return result;
            wait();
        }
    }

    void wait() const {
        const int directions = ::libssh2_session_block_directions(session_.get());
        const bool outbound = (directions & LIBSSH2_SESSION_BLOCK_OUTBOUND) != 0;
        const bool inbound = !outbound || (directions & LIBSSH2_SESSION_BLOCK_INBOUND) != 0;
        const auto events = static_cast<short>((inbound ? POLLIN : 0) | (outbound ? POLLOUT : 0));
        const Wake wake = wait_for_socket(socket_.get(), events, control_.stop, control_.deadline);
        if (wake != Wake::ready) throw_ended(wake, target_);
    }

    std::string last_words() const {
        char* text = nullptr;
        ::libssh2_session_last_error(session_.get(), &text, nullptr, 0);
        return text == nullptr ? std::string{} : printable(text);
    }

    void shake_hands() const {
        const int failure = repeat([&] { return ::libssh2_session_handshake(session_.get(), socket_.get()); });
        if (failure == 0) return;
        const bool algorithms = failure == LIBSSH2_ERROR_KEX_FAILURE || failure == LIBSSH2_ERROR_KEY_EXCHANGE_FAILURE ||
                                failure == LIBSSH2_ERROR_METHOD_NONE;
        if (algorithms)
            throw ssh_error(
                ErrorCode::unsupported, target_, "no_common_algorithm",
                "the two sides have no algorithm in common: " + library_name() + " says '" + last_words() +
                    "'; it knows host keys of the types ED25519, ECDSA and RSA with SHA-1, and AES-CTR, but "
                    "not AES-GCM or chacha20",
                "Use the transport 'program' (OpenSSH's client), or give the server an ED25519 host key and "
                "an AES-CTR cipher.");
        throw ssh_error(ErrorCode::unreachable, target_, "unreachable", "the greeting failed: " + last_words());
    }

    HostKey host_key() const {
        std::size_t size = 0;
        int type = 0;
        const char* const blob = ::libssh2_session_hostkey(session_.get(), &size, &type);
        if (blob == nullptr) return {};
        return host_key_of(std::as_bytes(std::span(blob, size)));
    }

    void log_in() const;
    LIBSSH2_CHANNEL* open_sftp() const;

    FileDescriptor take_socket() { return std::move(socket_); }
    Session take_session() { return std::move(session_); }

  private:
    bool log_in_with_key(std::vector<std::string>& failures) const;
    bool log_in_with_agent(std::vector<std::string>& failures) const;
    bool log_in_with_password(std::vector<std::string>& failures) const;

    const SshTarget& target_;
    const WorkControl& control_;
    FileDescriptor socket_;
    Session session_;
};

bool Connection::log_in_with_key(std::vector<std::string>& failures) const {
    const std::string file = target_.key_file.string();
    std::string text;
    try {
        text = read_small_file(target_.key_file);
    } catch (const Error& error) {
        throw ssh_error(error.code == ErrorCode::not_found ? ErrorCode::not_found : ErrorCode::denied, target_,
                        "authentication_failed", "its key cannot be read: " + error.message);
    }
    const Secret key(std::move(text));
    const int failure = repeat([&] {
        return ::libssh2_userauth_publickey_frommemory(
            session_.get(), target_.user.c_str(), target_.user.size(), nullptr, 0, key.reveal().c_str(),
            key.reveal().size(), target_.passphrase.empty() ? nullptr : target_.passphrase.reveal().c_str());
    });
    if (failure == 0) return true;
    std::string why = "the key '" + file + "': " + last_words();
    if (is_rsa_private_key(key.reveal()))
        why += " (" + library_name() + " signs with RSA keys only by SHA-1, which servers refuse today)";
    else if (failure == LIBSSH2_ERROR_FILE || failure == LIBSSH2_ERROR_KEYFILE_AUTH_FAILED)
        why += " (a wrong passphrase, or no private key)";
    failures.push_back(std::move(why));
    return false;
}

bool Connection::log_in_with_agent(std::vector<std::string>& failures) const {
    const std::unique_ptr<LIBSSH2_AGENT, AgentEnd> agent(::libssh2_agent_init(session_.get()));
    if (!agent || ::libssh2_agent_connect(agent.get()) != 0 || ::libssh2_agent_list_identities(agent.get()) != 0) {
        failures.push_back("no agent answers at SSH_AUTH_SOCK");
        return false;
    }
    std::size_t tried = 0;
    libssh2_agent_publickey* identity = nullptr;
    while (::libssh2_agent_get_identity(agent.get(), &identity, identity) == 0) {
        ++tried;
        if (repeat([&] { return ::libssh2_agent_userauth(agent.get(), target_.user.c_str(), identity); }) == 0)
            return true;
    }
    failures.push_back(tried == 0 ? "the agent holds no key"
                                  : "none of the agent's " + counted(tried, "key") + " was taken");
    return false;
}

extern "C" void answer_with_password(const char*, int, const char*, int, int count,
                                     const LIBSSH2_USERAUTH_KBDINT_PROMPT*, LIBSSH2_USERAUTH_KBDINT_RESPONSE* answers,
                                     void** abstract) {
    const auto* const password = static_cast<const Secret*>(*abstract);
    for (int i = 0; i < count && password != nullptr; ++i) {
        answers[i].text = ::strdup(password->reveal().c_str());
        answers[i].length = static_cast<unsigned int>(password->reveal().size());
    }
}

bool Connection::log_in_with_password(std::vector<std::string>& failures) const {
    const std::string& user = target_.user;
    const std::string& password = target_.password.reveal();
    const int failure = repeat([&] {
        return ::libssh2_userauth_password_ex(session_.get(), user.c_str(), static_cast<unsigned int>(user.size()),
                                              password.c_str(), static_cast<unsigned int>(password.size()), nullptr);
    });
    if (failure == 0) return true;
    failures.push_back("the password: " + last_words());
    void** const abstract = ::libssh2_session_abstract(session_.get());
    Secret secret = target_.password;
    *abstract = &secret;
    const int again = repeat([&] {
        return ::libssh2_userauth_keyboard_interactive_ex(session_.get(), user.c_str(),
                                                          static_cast<unsigned int>(user.size()), answer_with_password);
    });
    *abstract = nullptr;
    return again == 0;
}

void Connection::log_in() const {
    std::string methods;
    const std::string& user = target_.user;
    for (;;) {
        const char* const list =
            ::libssh2_userauth_list(session_.get(), user.c_str(), static_cast<unsigned int>(user.size()));
        if (list != nullptr) {
            methods = printable(list);
            break;
        }
        if (::libssh2_userauth_authenticated(session_.get()) != 0) return;
        if (::libssh2_session_last_errno(session_.get()) != LIBSSH2_ERROR_EAGAIN) break;
        wait();
    }
    std::vector<std::string> failures;
    if (!target_.key_file.empty() && log_in_with_key(failures)) return;
    if (target_.agent && log_in_with_agent(failures)) return;
    if (!target_.password.empty() && log_in_with_password(failures)) return;
    if (failures.empty()) failures.push_back("there is no key, agent or password to try");
    if (!methods.empty()) failures.push_back("it takes " + methods);
    throw ssh_error(ErrorCode::denied, target_, "authentication_failed",
                    "the login as '" + user + "' was refused: " + join(failures, "; "),
                    "Check user, key and passphrase or password, and that the server knows the public key; keys of the "
                    "type ED25519 work everywhere.");
}

LIBSSH2_CHANNEL* Connection::open_sftp() const {
    LIBSSH2_CHANNEL* channel = nullptr;
    const int failure = repeat([&] {
        channel = ::libssh2_channel_open_ex(session_.get(), "session", 7, channel_window, channel_packet, nullptr, 0);
        return channel != nullptr ? 0 : ::libssh2_session_last_errno(session_.get());
    });
    if (failure != 0)
        throw ssh_error(ErrorCode::unreachable, target_, "unreachable", "no channel could be opened: " + last_words());
    if (repeat([&] { return ::libssh2_channel_subsystem(channel, "sftp"); }) != 0)
        throw ssh_error(ErrorCode::unsupported, target_, "no_sftp", "it does not serve SFTP: " + last_words(),
                        "The server's sshd_config needs a line 'Subsystem sftp internal-sftp'.");
    // what the server says besides is not for us, and would fill the window
    ::libssh2_channel_handle_extended_data2(channel, LIBSSH2_CHANNEL_EXTENDED_DATA_IGNORE);
    return channel;
}

class LibraryDuplex final : public ByteDuplex {
  public:
    LibraryDuplex(SshTarget target, FileDescriptor socket, Session session, LIBSSH2_CHANNEL* channel)
        : target_(std::move(target)), socket_(std::move(socket)), session_(std::move(session)), channel_(channel) {}

    MovedBytes move(std::span<const std::byte> out, std::span<std::byte> in, const std::stop_token& stop,
                    SteadyTime deadline) override {
        for (;;) {
            MovedBytes moved;
            // What the library has begun to send it must finish before it can begin anything else.
            if (unfinished_ != Unfinished::read && !out.empty()) moved.sent = send(out);
            if (unfinished_ != Unfinished::write && !in.empty()) moved.received = receive(in);
            if (moved.sent > 0 || moved.received > 0) return moved;
            const short events = unfinished_ == Unfinished::none ? POLLIN : POLLOUT;
            switch (wait_for_socket(socket_.get(), events, stop, deadline)) {
                case Wake::ready:
                    break;
                case Wake::stopped:
                    throw Error{ErrorCode::cancelled, "the transfer was stopped"};
                case Wake::deadline:
                    return {};
            }
        }
    }

  private:
    enum class Unfinished { none, read, write };

    bool must_send() const {
        return (::libssh2_session_block_directions(session_.get()) & LIBSSH2_SESSION_BLOCK_OUTBOUND) != 0;
    }

    std::size_t send(std::span<const std::byte> out) {
        const ssize_t count =
            ::libssh2_channel_write_ex(channel_, 0, reinterpret_cast<const char*>(out.data()), out.size());
        unfinished_ = count == LIBSSH2_ERROR_EAGAIN && must_send() ? Unfinished::write : Unfinished::none;
        if (count == LIBSSH2_ERROR_EAGAIN) return 0;
        if (count < 0) fail();
        return static_cast<std::size_t>(count);
    }

    std::size_t receive(std::span<std::byte> in) {
        const ssize_t count = ::libssh2_channel_read_ex(channel_, 0, reinterpret_cast<char*>(in.data()),
                                                        std::min(in.size(), largest_read));
        unfinished_ = count == LIBSSH2_ERROR_EAGAIN && must_send() ? Unfinished::read : Unfinished::none;
        if (count == LIBSSH2_ERROR_EAGAIN) return 0;
        if (count < 0) fail();
        if (count == 0 && ::libssh2_channel_eof(channel_) != 0)
            throw Error{ErrorCode::connection_lost, to_text(target_) + ": the SFTP server has ended"};
        return static_cast<std::size_t>(count);
    }

    [[noreturn]] void fail() const {
        char* text = nullptr;
        ::libssh2_session_last_error(session_.get(), &text, nullptr, 0);
        throw Error{ErrorCode::connection_lost, to_text(target_) + ": the connection broke: " +
                                                    (text == nullptr ? std::string{} : printable(text))};
    }

    SshTarget target_;
    FileDescriptor socket_;  // closed after the session has gone
    Session session_;
    LIBSSH2_CHANNEL* channel_;  // of the session, goes with it
    Unfinished unfinished_ = Unfinished::none;
};

}  // namespace

std::string library_name() {
    return std::string("the built-in libssh2 ") + ::libssh2_version(0);
}

std::unique_ptr<ByteDuplex> open_ssh_library(const SshTarget& target, const WorkControl& control) {
    const bool pinned = !target.fingerprints.empty();
    std::vector<KnownHostKey> known;
    if (!pinned) known = known_host_keys(read_known_hosts(target.known_hosts), target.host, port_of(target));
    std::vector<std::string> known_types;
    for (const KnownHostKey& each : known) {
        if (!each.revoked && !each.authority) known_types.push_back(each.key.type);
    }
    std::vector<HostKey> shown;
    std::vector<std::string> seen_types;
    for (;;) {
        Connection connection(target, control);
        // the known types first: a server that prefers another one would show a key that nobody knows
        const std::vector<std::string> order = host_key_order(known_types, seen_types);
        if (order.empty()) throw fingerprint_error(target, shown);
        connection.prefer(LIBSSH2_METHOD_HOSTKEY, join(order, ","));
        try {
            connection.shake_hands();
        } catch (const Error& error) {
            if (error.code == ErrorCode::unsupported && !shown.empty()) throw fingerprint_error(target, shown);
            throw;
        }
        const HostKey key = connection.host_key();
        if (pinned) {
            const auto& pins = target.fingerprints;
            if (std::find(pins.begin(), pins.end(), key.fingerprint) == pins.end()) {
                // which type the pinned key has is not known: each type that the host has is looked at
                shown.push_back(key);
                seen_types.push_back(key.type);
                continue;
            }
        } else if (const HostKeyVerdict verdict = judge_host_key(known, key); verdict != HostKeyVerdict::trusted) {
            throw host_key_error(target, verdict, known, key);
        }
        connection.log_in();
        LIBSSH2_CHANNEL* const channel = connection.open_sftp();
        return std::make_unique<LibraryDuplex>(target, connection.take_socket(), connection.take_session(), channel);
    }
}

}  // namespace lifeboat
