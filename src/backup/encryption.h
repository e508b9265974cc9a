// Encrypted objects of a backup: one line of text that says how, then the encrypted stream (sealed_stream.h), whose
// associated data is that line to the byte, its newline included. docs/backup-format.md gives the bytes and how to
// decrypt them by hand.
//   {"lifeboat":"encrypted/v1","scheme":"AES256_GCM_HKDF_1MB","key":"1f2e3d4c"}
//   {…,"key":"…","kdf":{"name":"scrypt","salt":"<32 hex digits>","n":131072,"r":8,"p":1}}   made from a passphrase
// `key` is a hint: which key it takes, of which it gives nothing away.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backup/manifest.h"
#include "base/secret.h"
#include "base/sha256.h"
#include "base/size.h"
#include "stores/store.h"
#include "world/byte_stream.h"
#include "world/sealed_stream.h"

namespace lifeboat {

inline constexpr std::string_view encryption_scheme = "AES256_GCM_HKDF_1MB";
inline constexpr std::size_t longest_encryption_header = 1024;  // bytes, newline included

struct PassphraseSalt {
    std::string salt;  // 32 hexadecimal digits
    ScryptCost cost;
    bool operator==(const PassphraseSalt&) const = default;
};

struct EncryptionHeader {
    std::string key_hint;                      // 8 hexadecimal digits
    std::optional<PassphraseSalt> passphrase;  // nullopt: the key is 32 bytes that somebody keeps
    bool operator==(const EncryptionHeader&) const = default;
};

// The very line, newline included. Each header has one spelling.
std::string header_line(const EncryptionHeader& header);
// Throws Error{corrupt} for any other spelling, Error{unsupported} for another version or scheme. `where` is named.
EncryptionHeader parse_header_line(std::string_view line, std::string_view where);
// Of the object at `key`, read from the store. Throws Error{corrupt | unsupported}, and what the store throws.
EncryptionHeader read_encryption_header(Store& store, const std::string& key, Bytes size, const WorkControl& control);
// Whether bytes begin as an encrypted object of any version.
bool is_encrypted(std::span<const std::byte> beginning);

// The first 8 hexadecimal digits of SHA-256(HKDF-SHA256(key, no salt, "lifeboat key hint v1", 32 bytes)).
std::string key_hint(const KeyMaterial& key);

// One key, whose copies share what has been derived from it. Thread-safe.
class EncryptionKey {
  public:
    // The secret's text, white space around it left out: 64 hexadecimal digits or 44 characters of base64 (either
    // alphabet) are the 32 bytes of a key; anything else is a passphrase of at least 16 characters. `name` is the
    // secret's, for messages. Throws Error{refused} for what is too short, or a key of a wrong length.
    explicit EncryptionKey(const Secret& secret, std::string name, const ScryptCost& cost = {});

    const std::string& name() const;
    bool is_passphrase() const;
    // Of all objects that are encrypted with this key (object) from now on: a passphrase is derived once, with one
    // random salt. The first call takes half a second then.
    EncryptionHeader header() const;
    std::string hint() const { return header().key_hint; }
    // What decrypts an object with that header; nullopt when it is another key's. A passphrase is derived once for each
    // salt.
    std::optional<KeyMaterial> material_for(const EncryptionHeader& header) const;
    // The hint that this key has where it is used with that header; empty where it cannot be.
    std::string hint_for(const EncryptionHeader& header) const;

  private:
    struct State;
    std::shared_ptr<State> state_;
};

// The keys there are: the one in use, and those that only old backups still need. Thread-safe.
class KeyRing {
  public:
    KeyRing() = default;
    explicit KeyRing(std::vector<EncryptionKey> keys) : keys_(std::move(keys)) {}

    // Throws Error{denied}, naming the hint wanted and those of the keys there are.
    KeyMaterial material_for(const EncryptionHeader& header, std::string_view where) const;
    // Whether it is worth reading an object's header to ask that: with a passphrase only the header can tell.
    bool may_hold(std::string_view key_hint) const;

  private:
    std::vector<EncryptionKey> keys_;
};

// The size of the whole encrypted object.
std::uint64_t encrypted_size(std::uint64_t plain, const EncryptionHeader& header);

// A second digest beside that of the stored bytes costs more than the encryption: whoever knows it already, or can do
// without (each segment is authentic by itself), leaves it out.
enum class PlainDigest { computed, left_out };

// Plain bytes in, an encrypted object out. Constant memory, one thread at a time.
class Encryption {
  public:
    Encryption(const EncryptionKey& key, ByteSink out, PlainDigest digest = PlainDigest::computed);
    void write(std::span<const std::byte> plain);
    ObjectEncryption finish();

  private:
    ByteSink out_;
    EncryptionHeader header_;
    std::string line_;
    StreamEncryptor stream_;
    PlainDigest wanted_;
    Sha256 digest_;
    std::uint64_t size_ = 0;
    bool begun_ = false;
};

// An encrypted object as something to be written to stores: encrypted while it is read, at any offset, the same bytes
// each time. Nothing of a segment is given out when `plain` gives other bytes than it gave before:
// Error{moved}. Takes 16 bytes of memory for each MiB, and 2 MiB for each source that is open.
Content encrypted_content(Content plain, const EncryptionKey& key);

// An encrypted object in, authentic plain bytes out. Throws as StreamDecryptor and KeyRing; the key being found by its
// hint, what cannot be decrypted is Error{corrupt}. `expected` is what the manifest says: a difference is
// Error{corrupt}. Constant memory, one thread at a time.
class Decryption {
  public:
    Decryption(KeyRing keys, ByteSink out, std::string where, std::optional<ObjectEncryption> expected = std::nullopt);
    Decryption(const Decryption&) = delete;
    Decryption& operator=(const Decryption&) = delete;

    void write(std::span<const std::byte> sealed);
    // The object is whole and as expected when this returns.
    void finish();

  private:
    void take(std::span<const std::byte> plain);

    KeyRing keys_;
    ByteSink out_;
    std::string where_;
    std::optional<ObjectEncryption> expected_;
    std::string line_;
    std::optional<StreamDecryptor> stream_;  // once the line is there
    Sha256 digest_;
    std::uint64_t size_ = 0;
};

// Random access to an encrypted object. Ranges for `stream` are those of the object.
class EncryptedObject {
  public:
    // The object's first bytes that it takes to begin (the whole object where it is shorter).
    static constexpr std::size_t beginning = longest_encryption_header + StreamFormat{}.header_size();

    EncryptedObject(const KeyRing& keys, std::span<const std::byte> first_bytes, std::uint64_t size, std::string where,
                    const std::optional<ObjectEncryption>& expected = std::nullopt);

    const EncryptionHeader& header() const { return header_; }
    std::uint64_t plain_size() const { return stream_->size(); }
    // As SeekableDecryptor.
    ByteRange needed(const ByteRange& plain) const;
    void read(const ByteRange& plain, const RangeReader& object, const ByteSink& out);

  private:
    EncryptionHeader header_;
    std::uint64_t offset_ = 0;  // of the stream
    std::optional<SeekableDecryptor> stream_;
};

}  // namespace lifeboat
