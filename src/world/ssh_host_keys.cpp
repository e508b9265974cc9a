#include "world/ssh_host_keys.h"

#include <algorithm>
#include <array>
#include <cctype>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/sha256.h"
#include "base/text.h"
#include "world/files.h"

namespace lifeboat {

namespace {

std::string to_base64(std::span<const unsigned char> bytes) {
    std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
    const int size =
        ::EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), bytes.data(), static_cast<int>(bytes.size()));
    text.resize(static_cast<std::size_t>(size));
    return text;
}

// Empty for what is no base64.
std::vector<unsigned char> from_base64(std::string_view text) {
    if (text.empty() || text.size() % 4 != 0 || text.size() > 64u << 10) return {};
    std::vector<unsigned char> bytes(text.size() / 4 * 3);
    const int size = ::EVP_DecodeBlock(bytes.data(), reinterpret_cast<const unsigned char*>(text.data()),
                                       static_cast<int>(text.size()));
    if (size < 0) return {};
    const auto padding = static_cast<std::size_t>(std::count(text.end() - 2, text.end(), '='));
    bytes.resize(static_cast<std::size_t>(size) - padding);
    return bytes;
}

bool matches_pattern(std::string_view pattern, std::string_view name) {
    std::size_t at = 0;
    std::size_t star = std::string_view::npos;
    std::size_t retry = 0;
    std::size_t in = 0;
    while (in < name.size()) {
        if (at < pattern.size() && pattern[at] == '*') {
            star = at++;
            retry = in;
        } else if (at < pattern.size() && (pattern[at] == '?' || pattern[at] == name[in])) {
            ++at;
            ++in;
        } else if (star != std::string_view::npos) {
            at = star + 1;
            in = ++retry;
        } else {
            return false;
        }
    }
    while (at < pattern.size() && pattern[at] == '*')
        ++at;
    return at == pattern.size();
}

// "|1|salt|hash" is the HMAC-SHA1 of the name.
bool matches_hashed(std::string_view field, std::string_view name) {
    const std::vector<std::string> parts = split(field, '|');
    if (parts.size() != 4 || parts[1] != "1") return false;
    const auto salt = from_base64(parts[2]);
    const auto wanted = from_base64(parts[3]);
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int size = 0;
    if (salt.empty() ||
        ::HMAC(::EVP_sha1(), salt.data(), static_cast<int>(salt.size()),
               reinterpret_cast<const unsigned char*>(name.data()), name.size(), digest.data(), &size) == nullptr)
        return false;
    return wanted.size() == size && std::equal(wanted.begin(), wanted.end(), digest.begin());
}

bool names_host(std::string_view field, std::string_view name) {
    if (field.starts_with('|')) return matches_hashed(field, name);
    bool found = false;
    for (const std::string& each : split(field, ',')) {
        std::string pattern = each;
        const bool negated = pattern.starts_with('!');
        if (negated) pattern.erase(0, 1);
        std::transform(pattern.begin(), pattern.end(), pattern.begin(),
                       [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
        if (!matches_pattern(pattern, name)) continue;
        if (negated) return false;
        found = true;
    }
    return found;
}

std::vector<std::string> words_of(std::string_view line) {
    std::vector<std::string> words;
    std::string word;
    for (const char letter : line) {
        if (letter != ' ' && letter != '\t' && letter != '\r') {
            word += letter;
        } else if (!word.empty()) {
            words.push_back(std::move(word));
            word.clear();
        }
    }
    if (!word.empty()) words.push_back(std::move(word));
    return words;
}

std::vector<KnownHostKey> keys_named(std::string_view known_hosts, const std::string& name) {
    std::vector<KnownHostKey> keys;
    std::size_t number = 0;
    for (const std::string& line : split(known_hosts, '\n')) {
        ++number;
        std::vector<std::string> words = words_of(line);
        if (words.empty() || words.front().starts_with('#')) continue;
        KnownHostKey known{.key = {}, .line = number};
        if (words.front().starts_with('@')) {
            known.revoked = words.front() == "@revoked";
            known.authority = words.front() == "@cert-authority";
            if (!known.revoked && !known.authority) continue;
            words.erase(words.begin());
        }
        if (words.size() < 3 || !names_host(words[0], name)) continue;
        known.key = host_key_of_text(words[1], words[2]);
        if (!known.key.fingerprint.empty()) keys.push_back(std::move(known));
    }
    return keys;
}

// "ssh-ed25519" → "ED25519"
std::string short_type(const std::string& type) {
    if (type == "ssh-ed25519") return "ED25519";
    if (type == "ssh-rsa") return "RSA";
    if (type.starts_with("ecdsa-sha2-")) return "ECDSA";
    return printable(type);
}

std::string shown_text(const HostKey& shown) {
    if (shown.fingerprint.empty()) return "a key that was not recorded";
    return "the " + short_type(shown.type) + " key " + shown.fingerprint;
}

std::string known_text(const std::vector<KnownHostKey>& known) {
    std::vector<std::string> texts;
    for (const KnownHostKey& each : known) {
        if (each.authority) continue;
        texts.push_back(short_type(each.key.type) + " " + each.key.fingerprint + " (line " + std::to_string(each.line) +
                        ")");
    }
    return join(texts, ", ");
}

}  // namespace

HostKey host_key_of(std::span<const std::byte> blob) {
    HostKey key;
    if (blob.size() < 4) return key;
    std::size_t size = 0;
    for (std::size_t i = 0; i < 4; ++i)
        size = size << 8 | std::to_integer<std::size_t>(blob[i]);
    if (size > 64 || size > blob.size() - 4) return key;
    const std::string_view bytes(reinterpret_cast<const char*>(blob.data()), blob.size());
    key.type = printable(bytes.substr(4, size));
    key.fingerprint = "SHA256:" + to_base64(sha256(bytes));
    while (key.fingerprint.ends_with('='))
        key.fingerprint.pop_back();
    return key;
}

HostKey host_key_of_text(std::string_view type, std::string_view base64) {
    const auto blob = from_base64(base64);
    const HostKey key = host_key_of(std::as_bytes(std::span(blob)));
    return key.type == type ? key : HostKey{};
}

std::vector<KnownHostKey> known_host_keys(std::string_view known_hosts, std::string_view host, int port) {
    std::string name(host);
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
    constexpr int usual_port = 22;
    if (port != 0 && port != usual_port) {
        auto keys = keys_named(known_hosts, "[" + name + "]:" + std::to_string(port));
        if (!keys.empty()) return keys;
    }
    return keys_named(known_hosts, name);
}

std::string read_known_hosts(const std::filesystem::path& file) {
    return read_small_file(file, Bytes{16u << 20});
}

bool is_rsa_private_key(std::string_view text) {
    if (text.find("BEGIN RSA PRIVATE KEY") != std::string_view::npos) return true;
    std::string body;
    for (const std::string& line : split(text, '\n')) {
        if (line.find("-----") == std::string::npos) body += trim(line);
    }
    const auto bytes = from_base64(body);
    // the public key stands in front, readable even where the private one is encrypted
    constexpr std::size_t head = 300;
    const std::string_view front(reinterpret_cast<const char*>(bytes.data()), std::min(bytes.size(), head));
    return front.find("ssh-rsa") != std::string_view::npos;
}

std::string normal_fingerprint(std::string_view text) {
    std::string normal(trim(text));
    while (normal.ends_with('='))
        normal.pop_back();
    constexpr std::size_t base64_of_32_bytes = 43;
    const std::string_view prefix = "SHA256:";
    const bool letters =
        std::all_of(normal.begin() + static_cast<std::ptrdiff_t>(std::min(prefix.size(), normal.size())), normal.end(),
                    [](unsigned char letter) { return std::isalnum(letter) != 0 || letter == '+' || letter == '/'; });
    if (!normal.starts_with(prefix) || normal.size() != prefix.size() + base64_of_32_bytes || !letters)
        throw Error{ErrorCode::refused, "'" + printable(text) + "' is no fingerprint of a host key",
                    "It looks like 'SHA256:' and 43 letters: 'ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub' on the "
                    "server prints it."};
    return normal;
}

HostKeyVerdict judge_host_key(const std::vector<KnownHostKey>& known, const HostKey& shown) {
    const auto is = [&](const KnownHostKey& each) { return each.key.fingerprint == shown.fingerprint; };
    if (shown.fingerprint.empty()) return HostKeyVerdict::unknown;
    bool trusted = false;
    bool same_type = false;
    bool other_type = false;
    for (const KnownHostKey& each : known) {
        if (each.revoked && is(each)) return HostKeyVerdict::revoked;
        if (each.revoked || each.authority) continue;
        if (is(each)) {
            trusted = true;
        } else {
            (each.key.type == shown.type ? same_type : other_type) = true;
        }
    }
    if (trusted) return HostKeyVerdict::trusted;
    if (same_type) return HostKeyVerdict::changed;
    return other_type ? HostKeyVerdict::other_type : HostKeyVerdict::unknown;
}

Error host_key_error(const SshTarget& target, HostKeyVerdict verdict, const std::vector<KnownHostKey>& known,
                     const HostKey& shown) {
    const std::string file = target.known_hosts.empty() ? "the known hosts" : "'" + target.known_hosts.string() + "'";
    std::string what;
    std::string why;
    std::string hint =
        "Compare with what 'ssh-keygen -lf' prints for the host key file on the server itself, then add "
        "that key to " +
        file + ".";
    switch (verdict) {
        case HostKeyVerdict::trusted:
        case HostKeyVerdict::changed:
            what = "host_key_changed";
            why =
                "its host key is not the known one: it shows " + shown_text(shown) + ", known is " + known_text(known);
            hint =
                "Either the server was set up anew or somebody is in between: ask on the server itself, by another "
                "way, for its fingerprint before changing " +
                file + ".";
            break;
        case HostKeyVerdict::other_type:
            what = "host_key_other_type";
            why = "its host key is of a type that is not known: it shows " + shown_text(shown) + ", known is only " +
                  known_text(known);
            break;
        case HostKeyVerdict::unknown:
            what = "host_key_unknown";
            why = "its host key is unknown: it shows " + shown_text(shown) + ", and " + file +
                  " has no line for this host and port";
            break;
        case HostKeyVerdict::revoked:
            what = "host_key_revoked";
            why = "its host key is revoked: it shows " + shown_text(shown);
            hint =
                "This key is marked as stolen or retired in " + file + ": do not use the server until it has another.";
            break;
    }
    Error error = ssh_error(ErrorCode::denied, target, what, why, std::move(hint));
    if (!shown.fingerprint.empty()) error.details["shown"] = shown.fingerprint;
    for (const KnownHostKey& each : known) {
        if (!each.authority) error.details["known"].push_back(each.key.fingerprint);
    }
    return error;
}

Error fingerprint_error(const SshTarget& target, const std::vector<HostKey>& shown) {
    std::vector<std::string> texts;
    for (const HostKey& each : shown)
        texts.push_back(shown_text(each));
    Error error = ssh_error(ErrorCode::denied, target, "host_key_changed",
                            "its host key is not the pinned one: it shows " + join(texts, ", ") + ", pinned is " +
                                join(target.fingerprints, ", "),
                            "Either the server was set up anew or somebody is in between: ask on the server itself, by "
                            "another way, for its fingerprint before changing the pin.");
    for (const HostKey& each : shown)
        error.details["shown"].push_back(each.fingerprint);
    error.details["known"] = target.fingerprints;
    return error;
}

}  // namespace lifeboat
