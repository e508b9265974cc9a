// How a secret may be spelled in text, and finding all spellings in one pass.
#include <algorithm>
#include <set>

#include "base/secret.h"
#include "base/text.h"

namespace lifeboat {

namespace {

constexpr std::size_t shortest_form = 4;
constexpr std::size_t shortest_structured = 16;

std::string json_escaped(const std::string& text, bool ascii_only) {
    const std::string quoted = Json(text).dump(-1, ' ', ascii_only, Json::error_handler_t::replace);
    return quoted.substr(1, quoted.size() - 2);
}

bool unreserved(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_' || c == '~';
}

std::string url_encoded(const std::string& text, std::string_view hex_digits, bool form) {
    std::string out;
    for (const char c : text) {
        if (unreserved(c)) {
            out += c;
        } else if (form && c == ' ') {
            out += '+';
        } else {
            const auto byte = static_cast<unsigned char>(c);
            out += '%';
            out += hex_digits[byte >> 4];
            out += hex_digits[byte & 0xf];
        }
    }
    return out;
}

constexpr std::string_view standard_alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view url_alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

// Base64 without padding; the last character holds zero bits where the text ends.
std::string base64(std::string_view text, std::string_view alphabet) {
    std::string out;
    std::uint32_t bits = 0;
    int count = 0;
    for (const char c : text) {
        bits = (bits << 8) | static_cast<unsigned char>(c);
        count += 8;
        while (count >= 6) {
            count -= 6;
            out += alphabet[(bits >> count) & 0x3f];
        }
        bits &= 0xffff;
    }
    if (count > 0) out += alphabet[(bits << (6 - count)) & 0x3f];
    return out;
}

// The whole text in base64, and what is left of it when it stands in the middle of something encoded ("user:" before
// it): at each of the three alignments the characters that hold nothing but its own bits.
void add_base64_forms(std::set<std::string>& forms, const std::string& text, std::string_view alphabet) {
    const std::string whole = base64(text, alphabet);
    forms.insert(whole);
    forms.insert(whole + std::string((4 - whole.size() % 4) % 4, '='));
    constexpr std::size_t shortest_inner = 8;
    for (std::size_t shift = 0; shift < 3; ++shift) {
        const std::string encoded = base64(std::string(shift, '\0') + text, alphabet);
        const std::size_t skipped = shift == 0 ? 0 : shift + 1;
        const std::size_t end = (shift + text.size()) * 8 / 6;
        if (end >= skipped + shortest_inner) forms.insert(encoded.substr(skipped, end - skipped));
    }
}

void add_forms(std::set<std::string>& forms, const std::string& text) {
    if (text.size() < shortest_form) return;
    forms.insert(text);
    forms.insert(json_escaped(text, false));
    forms.insert(json_escaped(text, true));
    for (const bool form : {false, true}) {
        forms.insert(url_encoded(text, "0123456789ABCDEF", form));
        forms.insert(url_encoded(text, "0123456789abcdef", form));
    }
    add_base64_forms(forms, text, standard_alphabet);
    add_base64_forms(forms, text, url_alphabet);
}

std::uint16_t first_two(const char* bytes) {
    return static_cast<std::uint16_t>((static_cast<unsigned char>(bytes[0]) << 8) |
                                      static_cast<unsigned char>(bytes[1]));
}

std::uint32_t first_four(const char* bytes) {
    return (static_cast<std::uint32_t>(first_two(bytes)) << 16) | first_two(bytes + 2);
}

}  // namespace

void Redactor::add(const std::string& name, const Secret& secret) {
    const std::string& text = secret.reveal();
    if (characters(text) < shortest_form) return;
    std::set<std::string> forms;
    add_forms(forms, text);
    if (text.find('\n') != std::string::npos) {
        for (const std::string& line : split(text, '\n'))
            add_forms(forms, std::string(trim(line)));
    }

    const std::unique_lock lock(mutex_);
    if (characters(text) >= shortest_structured) long_[name] = text;
    for (const Form& known : forms_)
        forms.erase(known.text);
    for (const std::string& form : forms)
        forms_.push_back({.text = form, .name = name});
    std::stable_sort(forms_.begin(), forms_.end(),
                     [](const Form& a, const Form& b) { return a.text.size() > b.text.size(); });
    starts_.reset();
    by_start_.clear();
    for (std::size_t i = 0; i < forms_.size(); ++i) {
        starts_.set(first_two(forms_[i].text.data()));
        by_start_[first_four(forms_[i].text.data())].push_back(i);
    }
}

std::string Redactor::redact(std::string_view text) const {
    const std::shared_lock lock(mutex_);
    std::string out;
    std::size_t written = 0;            // bytes of `text` that are in `out` or behind the open mark
    std::size_t mark_end = 0;           // end of the match being covered; forms that overlap it make it longer
    const std::string* mark = nullptr;  // its secret's name
    const auto close_mark = [&] {
        if (mark == nullptr) return;
        out += "***" + *mark + "***";
        written = mark_end;
        mark = nullptr;
    };
    if (!forms_.empty()) {
        for (std::size_t i = 0; i + shortest_form <= text.size(); ++i) {
            if (!starts_[first_two(text.data() + i)]) continue;
            const auto candidates = by_start_.find(first_four(text.data() + i));
            if (candidates == by_start_.end()) continue;
            for (const std::size_t position : candidates->second) {
                const Form& form = forms_[position];
                if (text.substr(i, form.text.size()) != form.text) continue;
                if (mark == nullptr || i >= mark_end) {
                    close_mark();
                    out += text.substr(written, i - written);
                    mark = &form.name;
                    mark_end = i;
                }
                mark_end = std::max(mark_end, i + form.text.size());
                break;
            }
        }
        close_mark();
    }
    out += text.substr(written);
    return out;
}

std::optional<std::string> Redactor::exposed_in(const Json& value) const {
    const std::shared_lock lock(mutex_);
    if (long_.empty()) return std::nullopt;
    const auto secret_of = [this](const std::string& text) -> std::optional<std::string> {
        for (const auto& [name, secret] : long_) {
            if (text.find(secret) != std::string::npos) return name;
        }
        return std::nullopt;
    };
    std::vector<const Json*> left{&value};
    while (!left.empty()) {
        const Json& next = *left.back();
        left.pop_back();
        if (next.is_string()) {
            if (auto name = secret_of(next.get_ref<const std::string&>())) return name;
        }
        if (!next.is_structured()) continue;
        for (auto item = next.begin(); item != next.end(); ++item) {
            if (next.is_object()) {
                if (auto name = secret_of(item.key())) return name;
            }
            left.push_back(&*item);
        }
    }
    return std::nullopt;
}

}  // namespace lifeboat
