#include "world/crypto.h"

#include <bit>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include "base/error.h"

namespace lifeboat {

namespace {

constexpr std::size_t longest_context = 1024;  // OpenSSL 3.0 takes no more than 2048 bytes of "info"
constexpr std::uint64_t most_scrypt_memory = std::uint64_t{1} << 30;

[[noreturn]] void library_failed(std::string_view tried) {
    std::array<char, 200> reason{};
    ERR_error_string_n(ERR_get_error(), reason.data(), reason.size());
    ERR_clear_error();
    throw Error{ErrorCode::internal, "cannot " + std::string(tried) + ": " + reason.data()};
}

const unsigned char* as_unsigned(std::span<const std::byte> bytes) {
    return reinterpret_cast<const unsigned char*>(bytes.data());
}

unsigned char* as_unsigned(std::span<std::byte> bytes) {
    return reinterpret_cast<unsigned char*>(bytes.data());
}

std::string name_of(HashName hash) {
    switch (hash) {
        case HashName::sha1:
            return "SHA1";
        case HashName::sha256:
            return "SHA256";
        case HashName::sha512:
            return "SHA512";
    }
    return {};
}

// The library's parameters point into what they are made of and are only read there.
OSSL_PARAM octets(const char* name, std::span<const std::uint8_t> bytes) {
    return OSSL_PARAM_construct_octet_string(name, const_cast<std::uint8_t*>(bytes.data()), bytes.size());
}

OSSL_PARAM octets(const char* name, std::string_view text) {
    return OSSL_PARAM_construct_octet_string(name, const_cast<char*>(text.data()), text.size());
}

void derive(const char* algorithm, const OSSL_PARAM* parameters, std::span<std::uint8_t> into) {
    const std::unique_ptr<EVP_KDF, decltype(&EVP_KDF_free)> kind(EVP_KDF_fetch(nullptr, algorithm, nullptr),
                                                                 &EVP_KDF_free);
    if (!kind) library_failed(std::string("find the key derivation ") + algorithm);
    const std::unique_ptr<EVP_KDF_CTX, decltype(&EVP_KDF_CTX_free)> context(EVP_KDF_CTX_new(kind.get()),
                                                                            &EVP_KDF_CTX_free);
    if (!context || EVP_KDF_derive(context.get(), into.data(), into.size(), parameters) != 1)
        library_failed(std::string("derive a key by ") + algorithm);
}

}  // namespace

KeyMaterial::~KeyMaterial() {
    wipe(bytes_);
}

KeyMaterial& KeyMaterial::operator=(const KeyMaterial& other) {
    if (this != &other) {
        KeyMaterial copy(other);
        bytes_.swap(copy.bytes_);
    }
    return *this;
}

KeyMaterial& KeyMaterial::operator=(KeyMaterial&& other) noexcept {
    if (this != &other) {
        wipe(bytes_);
        bytes_ = std::move(other.bytes_);
    }
    return *this;
}

void wipe(std::span<std::uint8_t> bytes) {
    OPENSSL_cleanse(bytes.data(), bytes.size());
}

void wipe(std::string& text) {
    OPENSSL_cleanse(text.data(), text.size());
    text.clear();
}

void fill_random(std::span<std::uint8_t> bytes) {
    if (RAND_priv_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) library_failed("draw random bytes");
}

KeyMaterial hkdf(HashName hash, std::span<const std::uint8_t> key, std::span<const std::uint8_t> salt,
                 std::string_view context, std::size_t size) {
    if (context.size() > longest_context)
        throw Error{ErrorCode::limit_exceeded, "the context of a derived key is longer than 1024 bytes"};
    std::string digest = name_of(hash);
    std::vector<OSSL_PARAM> parameters{OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest.data(), 0),
                                       octets(OSSL_KDF_PARAM_KEY, key)};
    if (!salt.empty()) parameters.push_back(octets(OSSL_KDF_PARAM_SALT, salt));
    if (!context.empty()) parameters.push_back(octets(OSSL_KDF_PARAM_INFO, context));
    parameters.push_back(OSSL_PARAM_construct_end());
    KeyMaterial derived(size);
    derive("HKDF", parameters.data(), derived.bytes());
    return derived;
}

bool is_bearable(const ScryptCost& cost) {
    if (!std::has_single_bit(cost.n) || cost.n < (1U << 10) || cost.n > (1U << 23)) return false;
    if (cost.r < 1 || cost.r > 64 || cost.p < 1 || cost.p > 16) return false;
    const std::uint64_t memory = 128 * cost.n * cost.r;
    constexpr std::uint64_t usual = ScryptCost{}.n * ScryptCost{}.r;
    return memory <= most_scrypt_memory && cost.n * cost.r * cost.p <= 16 * usual;
}

KeyMaterial scrypt(std::string_view passphrase, std::span<const std::uint8_t> salt, const ScryptCost& cost,
                   std::size_t size) {
    if (!is_bearable(cost))
        throw Error{ErrorCode::limit_exceeded, "scrypt with n=" + std::to_string(cost.n) +
                                                   ", r=" + std::to_string(cost.r) + ", p=" + std::to_string(cost.p) +
                                                   " is out of bounds"};
    ScryptCost paid = cost;
    std::uint64_t memory = most_scrypt_memory + (std::uint64_t{64} << 20);  // the library counts small extras as well
    const std::array parameters{octets(OSSL_KDF_PARAM_PASSWORD, passphrase),
                                octets(OSSL_KDF_PARAM_SALT, salt),
                                OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_N, &paid.n),
                                OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_R, &paid.r),
                                OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_P, &paid.p),
                                OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_MAXMEM, &memory),
                                OSSL_PARAM_construct_end()};
    KeyMaterial derived(size);
    derive("SCRYPT", parameters.data(), derived.bytes());
    return derived;
}

struct AesGcm::State {
    struct Free {
        void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }  // wipes the key
    };
    using Context = std::unique_ptr<EVP_CIPHER_CTX, Free>;

    static Context begin(const KeyMaterial& key, bool sealing) {
        Context context(EVP_CIPHER_CTX_new());
        const EVP_CIPHER* cipher = key.size() == 16 ? EVP_aes_128_gcm() : EVP_aes_256_gcm();
        if ((key.size() != 16 && key.size() != 32) || !context ||
            EVP_CipherInit_ex(context.get(), cipher, nullptr, key.bytes().data(), nullptr, sealing ? 1 : 0) != 1)
            library_failed("begin AES-GCM");
        return context;
    }

    Context sealing;
    Context opening;
};

AesGcm::AesGcm(const KeyMaterial& key)
    : state_(std::make_unique<State>(State{.sealing = State::begin(key, true), .opening = State::begin(key, false)})) {}
AesGcm::~AesGcm() = default;
AesGcm::AesGcm(AesGcm&&) noexcept = default;
AesGcm& AesGcm::operator=(AesGcm&&) noexcept = default;

void AesGcm::seal(const Nonce& nonce, std::span<const std::byte> plain, std::span<std::byte> sealed) {
    EVP_CIPHER_CTX* context = state_->sealing.get();
    int written = 0;
    int rest = 0;
    if (sealed.size() < plain.size() + tag_size ||
        EVP_EncryptInit_ex(context, nullptr, nullptr, nullptr, nonce.data()) != 1 ||
        (!plain.empty() && EVP_EncryptUpdate(context, as_unsigned(sealed), &written, as_unsigned(plain),
                                             static_cast<int>(plain.size())) != 1) ||
        EVP_EncryptFinal_ex(context, as_unsigned(sealed) + written, &rest) != 1 ||
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, static_cast<int>(tag_size),
                            as_unsigned(sealed) + plain.size()) != 1)
        library_failed("encrypt by AES-GCM");
}

bool AesGcm::open(const Nonce& nonce, std::span<const std::byte> sealed, std::span<std::byte> plain) {
    if (sealed.size() < tag_size) return false;
    EVP_CIPHER_CTX* context = state_->opening.get();
    const std::size_t size = sealed.size() - tag_size;
    std::array<unsigned char, tag_size> tag{};
    std::copy_n(as_unsigned(sealed) + size, tag_size, tag.begin());
    int written = 0;
    if (plain.size() < size || EVP_DecryptInit_ex(context, nullptr, nullptr, nullptr, nonce.data()) != 1 ||
        (size > 0 &&
         EVP_DecryptUpdate(context, as_unsigned(plain), &written, as_unsigned(sealed), static_cast<int>(size)) != 1) ||
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, static_cast<int>(tag_size), tag.data()) != 1)
        library_failed("decrypt by AES-GCM");
    int rest = 0;
    if (EVP_DecryptFinal_ex(context, as_unsigned(plain) + written, &rest) == 1) return true;
    ERR_clear_error();
    std::fill_n(plain.begin(), size, std::byte{0});
    return false;
}

}  // namespace lifeboat
