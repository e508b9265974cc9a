#include "runbook/source_file.h"

#include <algorithm>

namespace lifeboat {

namespace {

constexpr std::size_t block_size = 256;
constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";

bool starts_character(char c) {
    return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U;
}

}  // namespace

std::string Path::text() const {
    std::string prefix = parent != nullptr ? parent->text() : std::string();
    if (index != no_index) return prefix + "[" + std::to_string(index) + "]";
    if (key.empty()) return prefix;
    if (!prefix.empty()) prefix += '.';
    return prefix.append(key);
}

SourceFile::SourceFile(std::string name, std::string text) : text_(std::move(text)) {
    if (text_.starts_with(byte_order_mark)) text_.erase(0, byte_order_mark.size());
    lines_.push_back(0);
    std::uint32_t characters = 0;
    for (std::size_t i = 0; i < text_.size(); ++i) {
        if (i % block_size == 0) blocks_.push_back(characters);
        if (starts_character(text_[i])) ++characters;
        if (text_[i] == '\n') lines_.push_back(static_cast<std::uint32_t>(i + 1));
    }
    blocks_.push_back(characters);
    diagnostics_ = Diagnostics(std::move(name), text_);
}

std::size_t SourceFile::characters_before(std::size_t offset) const {
    const std::size_t block = offset / block_size;
    const auto from = text_.begin() + static_cast<std::ptrdiff_t>(block * block_size);
    const auto to = text_.begin() + static_cast<std::ptrdiff_t>(offset);
    return blocks_[block] + static_cast<std::size_t>(std::count_if(from, to, starts_character));
}

SourceSpan SourceFile::span(std::size_t begin, std::size_t end) const {
    begin = std::min(begin, text_.size());
    const auto next = std::upper_bound(lines_.begin(), lines_.end(), begin);
    const std::size_t line_start = *(next - 1);
    const std::size_t line_end = next == lines_.end() ? text_.size() : *next - 1;
    end = std::clamp(end, begin, std::max(line_end, begin));
    const std::size_t column = characters_before(begin) - characters_before(line_start);
    const std::size_t length = characters_before(end) - characters_before(begin);
    return {.at = {.line = static_cast<int>(next - lines_.begin()), .column = static_cast<int>(column) + 1},
            .length = std::max(static_cast<int>(length), 1)};
}

void SourceFile::error(SourceSpan span, std::string path, std::string message, std::string hint) {
    if (full()) return;
    diagnostics_.error(span, std::move(path), std::move(message), std::move(hint));
    if (full()) diagnostics_.error({}, "", "too many mistakes: those after the first ones are not shown");
}

void SourceFile::warning(SourceSpan span, std::string path, std::string message, std::string hint) {
    if (!full()) diagnostics_.warning(span, std::move(path), std::move(message), std::move(hint));
}

}  // namespace lifeboat
