#include "world/zstd.h"

#include <string>
#include <vector>

#include <zstd.h>

#include "base/error.h"

namespace lifeboat {

namespace {

constexpr int level = 3;
constexpr int largest_window = 27;  // as a power of two, in bytes; what `zstd -d` takes without being asked

struct Free {
    void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

void require_setting(std::size_t result) {
    if (ZSTD_isError(result) != 0)
        throw Error{ErrorCode::internal, "zstd cannot be set up: " + std::string(ZSTD_getErrorName(result))};
}

}  // namespace

struct Compressor::State {
    ByteSink out;
    std::unique_ptr<ZSTD_CCtx, Free> context{ZSTD_createCCtx()};
    std::vector<std::byte> buffer = std::vector<std::byte>(ZSTD_CStreamOutSize());

    // False once nothing is left to come out.
    bool step(ZSTD_inBuffer& in, ZSTD_EndDirective directive) {
        ZSTD_outBuffer made{.dst = buffer.data(), .size = buffer.size(), .pos = 0};
        const std::size_t left = ZSTD_compressStream2(context.get(), &made, &in, directive);
        if (ZSTD_isError(left) != 0)
            throw Error{ErrorCode::internal, "zstd cannot compress: " + std::string(ZSTD_getErrorName(left))};
        if (made.pos > 0) out(std::span<const std::byte>(buffer).first(made.pos));
        return directive == ZSTD_e_end ? left != 0 : in.pos < in.size;
    }
};

Compressor::Compressor(ByteSink out) : state_(std::make_unique<State>()) {
    state_->out = std::move(out);
    require_setting(ZSTD_CCtx_setParameter(state_->context.get(), ZSTD_c_compressionLevel, level));
    require_setting(ZSTD_CCtx_setParameter(state_->context.get(), ZSTD_c_checksumFlag, 1));
}

Compressor::~Compressor() = default;

void Compressor::write(std::span<const std::byte> plain) {
    ZSTD_inBuffer in{.src = plain.data(), .size = plain.size(), .pos = 0};
    while (in.pos < in.size)
        state_->step(in, ZSTD_e_continue);
}

void Compressor::finish() {
    ZSTD_inBuffer nothing{.src = nullptr, .size = 0, .pos = 0};
    while (state_->step(nothing, ZSTD_e_end)) {
    }
}

struct Decompressor::State {
    ByteSink out;
    std::unique_ptr<ZSTD_DCtx, Free> context{ZSTD_createDCtx()};
    std::vector<std::byte> buffer = std::vector<std::byte>(ZSTD_DStreamOutSize());
    bool ended = false;
};

Decompressor::Decompressor(ByteSink out) : state_(std::make_unique<State>()) {
    state_->out = std::move(out);
    require_setting(ZSTD_DCtx_setParameter(state_->context.get(), ZSTD_d_windowLogMax, largest_window));
}

Decompressor::~Decompressor() = default;

void Decompressor::write(std::span<const std::byte> packed) {
    State& state = *state_;
    ZSTD_inBuffer in{.src = packed.data(), .size = packed.size(), .pos = 0};
    bool full = false;  // more may wait inside although all was taken in
    while (in.pos < in.size || full) {
        if (state.ended) throw Error{ErrorCode::corrupt, "something else follows the zstd data"};
        ZSTD_outBuffer made{.dst = state.buffer.data(), .size = state.buffer.size(), .pos = 0};
        const std::size_t left = ZSTD_decompressStream(state.context.get(), &made, &in);
        if (ZSTD_isError(left) != 0) {
            const std::string why = ZSTD_getErrorName(left);
            if (why.find("window") != std::string::npos || why.find("memory") != std::string::npos)
                throw Error{ErrorCode::limit_exceeded, "the zstd data takes too much memory: " + why};
            throw Error{ErrorCode::corrupt, "the zstd data is damaged: " + why};
        }
        if (made.pos > 0) state.out(std::span<const std::byte>(state.buffer).first(made.pos));
        state.ended = left == 0;
        full = made.pos == made.size && !state.ended;
    }
}

void Decompressor::finish() {
    if (!state_->ended) throw Error{ErrorCode::incomplete, "the zstd data ends in the middle"};
}

}  // namespace lifeboat
