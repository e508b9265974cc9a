#include "world/ssh.h"

#include <algorithm>

#include "base/text.h"
#include "world/process.h"
#include "world/ssh_host_keys.h"
#include "world/ssh_library.h"
#include "world/ssh_program.h"

namespace lifeboat {

namespace {

bool is_name(const std::string& text) {
    return !text.starts_with('-') && std::all_of(text.begin(), text.end(), [](unsigned char letter) {
        return letter > ' ' && letter != 0x7f && letter != '\'' && letter != '"' && letter != '`' && letter != '\\' &&
               letter != '$' && letter != ';' && letter != '|' && letter != '&' && letter != '<' && letter != '>' &&
               letter != '@';
    });
}

void check(SshTarget& target) {
    const auto refuse = [&target](const std::string& why, std::string hint = {}) {
        return Error{ErrorCode::refused, "SSH to " + to_text(target) + " is refused: " + why, std::move(hint)};
    };
    if (target.host.empty() || !is_name(target.host)) throw refuse("that is no host name");
    if (!is_name(target.user)) throw refuse("'" + printable(target.user) + "' is no user name");
    if (target.port < 0 || target.port > 65535) throw refuse("there is no such port");
    if (target.user.empty() && target.ssh_config.empty()) throw refuse("no user is given");
    for (const Secret* secret : {&target.passphrase, &target.password}) {
        if (secret->reveal().find_first_of(std::string_view("\n\r\0", 3)) != std::string::npos)
            throw refuse("its password or passphrase has several lines");
    }
    if (!target.password.empty() && !target.ssh_config.empty())
        throw refuse("a password cannot be given together with an ssh_config",
                     "A jump host in it could ask for the password; use a key.");
    for (std::string& fingerprint : target.fingerprints)
        fingerprint = normal_fingerprint(fingerprint);
    if (target.fingerprints.empty() && target.known_hosts.empty() && target.ssh_config.empty())
        throw refuse("nothing says which host key is the right one",
                     "Give a known_hosts file, or the fingerprint of the host key.");
}

SshChoice choose(const SshTarget& target, SshTransport wish) {
    if (wish == SshTransport::library) {
        if (!target.ssh_config.empty())
            throw Error{ErrorCode::refused,
                        "SSH to " + to_text(target) +
                            " is refused: the built-in library reads no "
                            "ssh_config",
                        "Use the transport 'program', which is OpenSSH's client."};
        return {.transport = SshTransport::library, .why = library_name() + ": as the site says"};
    }
    const auto program = find_program("ssh");
    if (program) {
        const std::string name = "OpenSSH's client '" + program->string() + "': ";
        if (wish == SshTransport::program)
            return {.transport = SshTransport::program, .why = name + "as the site says"};
        return {.transport = SshTransport::program,
                .why = name + "it is installed, faster than the built-in library and knows more algorithms"};
    }
    if (wish == SshTransport::program || !target.ssh_config.empty()) {
        throw Error{ErrorCode::program_missing,
                    "SSH to " + to_text(target) + (wish == SshTransport::program ? "" : " with an ssh_config") +
                        " needs the program 'ssh', which is not in PATH",
                    "Install the package openssh-client."};
    }
    return {.transport = SshTransport::library, .why = library_name() + ": the program 'ssh' is not in PATH"};
}

}  // namespace

std::string to_text(const SshTarget& target) {
    std::string text = "host '" + printable(target.host) + "'";
    if (target.port != 0) text += " port " + std::to_string(target.port);
    return text;
}

Error ssh_error(ErrorCode code, const SshTarget& target, std::string_view what, std::string_view why,
                std::string hint) {
    Error error{code, to_text(target) + ": " + std::string(why), std::move(hint)};
    error.details = Json{{"ssh", what}};
    return error;
}

SshDoor::SshDoor(SshTarget target, SshTransport wish) : target_(std::move(target)) {
    check(target_);
    choice_ = choose(target_, wish);
}

std::unique_ptr<ByteDuplex> SshDoor::open_sftp(const WorkControl& control) {
    if (choice_.transport == SshTransport::library) return open_ssh_library(target_, control);
    std::string pinned;
    if (!target_.fingerprints.empty()) {
        const std::lock_guard lock(mutex_);
        if (pinned_keys_.empty()) pinned_keys_ = find_pinned_host_keys(target_, control);
        pinned = pinned_keys_;
    }
    return open_ssh_program(target_, pinned);
}

}  // namespace lifeboat
