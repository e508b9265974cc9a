// Zstandard frames, written with their checksum, so that what comes out is what went in; `zstd -d` reads them too.
// Bytes are pushed in and out; constant memory.
#pragma once

#include <memory>
#include <span>

#include "world/byte_stream.h"

namespace lifeboat {

class Compressor {
  public:
    explicit Compressor(ByteSink out);
    ~Compressor();
    Compressor(const Compressor&) = delete;
    Compressor& operator=(const Compressor&) = delete;

    void write(std::span<const std::byte> plain);
    // Ends the frame. Nothing may be written after it.
    void finish();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

// Takes exactly one frame. Windows of more than 128 MiB are refused: Error{limit_exceeded}.
class Decompressor {
  public:
    explicit Decompressor(ByteSink out);
    ~Decompressor();
    Decompressor(const Decompressor&) = delete;
    Decompressor& operator=(const Decompressor&) = delete;

    // Error{corrupt} for what is no such frame, fails its checksum, or goes on behind the frame's end.
    void write(std::span<const std::byte> packed);
    // Error{incomplete} when the frame has not ended.
    void finish();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace lifeboat
