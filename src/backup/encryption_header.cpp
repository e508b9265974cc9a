#include <algorithm>

#include "backup/encryption.h"
#include "base/error.h"
#include "base/text.h"

namespace lifeboat {

namespace {

constexpr std::string_view magic = "{\"lifeboat\":\"encrypted/v";
constexpr std::string_view format = "encrypted/v1";
constexpr std::string_view other_version = "Decrypt it with the version of lifeboat that made it.";

bool is_hex(std::string_view text, std::size_t size) {
    return text.size() == size && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// Only what is right in itself; `parse_header_line` compares the spelling of the whole.
EncryptionHeader from_json(const Json& value) {
    EncryptionHeader header{.key_hint = value.at("key").get<std::string>()};
    if (const auto kdf = value.find("kdf"); kdf != value.end())
        header.passphrase = PassphraseSalt{.salt = kdf->at("salt").get<std::string>(),
                                           .cost = {.n = kdf->at("n").get<std::uint64_t>(),
                                                    .r = kdf->at("r").get<std::uint32_t>(),
                                                    .p = kdf->at("p").get<std::uint32_t>()}};
    return header;
}

}  // namespace

std::string header_line(const EncryptionHeader& header) {
    std::string line = "{\"lifeboat\":\"" + std::string(format) + "\",\"scheme\":\"" + std::string(encryption_scheme) +
                       "\",\"key\":\"" + header.key_hint + "\"";
    if (header.passphrase)
        line += ",\"kdf\":{\"name\":\"scrypt\",\"salt\":\"" + header.passphrase->salt +
                "\",\"n\":" + std::to_string(header.passphrase->cost.n) +
                ",\"r\":" + std::to_string(header.passphrase->cost.r) +
                ",\"p\":" + std::to_string(header.passphrase->cost.p) + "}";
    return line + "}\n";
}

EncryptionHeader parse_header_line(std::string_view line, std::string_view where) {
    const auto damaged = [&](const std::string& why) {
        return Error{ErrorCode::corrupt, std::string(where) + ": the header of its encryption " + why,
                     "Use another copy of it."};
    };
    if (line.size() > longest_encryption_header || !line.ends_with('\n') || !line.starts_with(magic))
        throw damaged("is damaged or not there");
    EncryptionHeader header;
    try {
        const Json value = parse_json(line, "header");
        const std::string written = value.at("lifeboat");
        const std::string scheme = value.at("scheme");
        if (written != format || scheme != encryption_scheme)
            throw Error{ErrorCode::unsupported,
                        std::string(where) + ": it is encrypted as '" + printable(written) + "' by '" +
                            printable(scheme) + "', this version reads '" + std::string(format) + "' by '" +
                            std::string(encryption_scheme) + "'",
                        std::string(other_version)};
        header = from_json(value);
    } catch (const Json::exception&) {
        throw damaged("has fields that are missing or wrong");
    } catch (const Error& error) {
        if (error.code == ErrorCode::unsupported) throw;
        throw damaged("is no JSON");
    }
    if (!is_hex(header.key_hint, 8) || (header.passphrase && !is_hex(header.passphrase->salt, 32)))
        throw damaged("has fields that are missing or wrong");
    if (header.passphrase && !is_bearable(header.passphrase->cost))
        throw damaged("asks for a derivation of the key that is out of bounds");
    // whatever else it may hold is not covered by what was read
    if (header_line(header) != line) throw damaged("is not spelled as lifeboat does");
    return header;
}

EncryptionHeader read_encryption_header(Store& store, const std::string& key, Bytes size, const WorkControl& control) {
    const std::uint64_t length = std::min<std::uint64_t>(size.count, longest_encryption_header);
    std::string beginning;
    const ReadEnd end = store.read(
        key, ReadRange{.length = length},
        [&beginning](std::span<const std::byte> bytes) {
            beginning.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        },
        control);
    const std::size_t newline = beginning.find('\n');
    if (end == ReadEnd::changed || newline == std::string::npos)
        throw store_error(ErrorCode::corrupt, store.name(), key, "it does not begin as an encrypted object");
    return parse_header_line(std::string_view(beginning).substr(0, newline + 1),
                             "object '" + key + "' in store '" + store.name() + "'");
}

bool is_encrypted(std::span<const std::byte> bytes) {
    return bytes.size() >= magic.size() &&
           std::equal(magic.begin(), magic.end(), bytes.begin(), [](char a, std::byte b) {
               return static_cast<unsigned char>(a) == std::to_integer<unsigned>(b);
           });
}

}  // namespace lifeboat
