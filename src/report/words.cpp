#include "report/words.h"

#include <algorithm>

#include "base/secret.h"
#include "base/text.h"

namespace lifeboat {

namespace {

std::string secret_text(const Json& reference) {
    const Json& said = reference["secret"];
    if (said.is_string()) return "‹" + said.get<std::string>() + "›";
    std::string text;
    for (const Json& part : said)
        text += part.is_string() ? part.get<std::string>() : secret_text(part);
    return text;
}

std::string fields_text(const Json& object, std::string_view without) {
    std::string text;
    for (const auto& [key, value] : object.items()) {
        if (key == without) continue;
        text += (text.empty() ? "" : ", ") + key + ": " + value_text(value, 100'000);
    }
    return text;
}

std::string whole_text(const Json& value) {
    if (value.is_string()) return value.get<std::string>();
    if (is_secret(value)) return secret_text(value);
    if (value.is_null()) return "none";
    if (value.is_array()) {
        std::string text;
        for (const Json& each : value)
            text += (text.empty() ? "" : ", ") + value_text(each, 100'000);
        return "[" + text + "]";
    }
    if (!value.is_object()) return to_text(value);
    for (const char* name : {"of", "backup"}) {
        const auto found = value.find(name);
        if (found == value.end() || !found->is_string()) continue;
        const std::string replaced = fields_text(value, name);
        return found->get<std::string>() + (replaced.empty() ? "" : " (" + replaced + ")");
    }
    return "{" + fields_text(value, "") + "}";
}

}  // namespace

std::string painted(Tone tone, std::string_view text, TextStyle style) {
    if (!style.colour) return std::string(text);
    std::string_view code;
    switch (tone) {
        case Tone::plain:
            return std::string(text);
        case Tone::strong:
            code = "\x1b[1m";
            break;
        case Tone::faint:
            code = "\x1b[2m";
            break;
        case Tone::good:
            code = "\x1b[32m";
            break;
        case Tone::doubtful:
            code = "\x1b[33m";
            break;
        case Tone::bad:
            code = "\x1b[1;31m";
            break;
    }
    return std::string(code) + std::string(text) + "\x1b[0m";
}

std::string value_text(const Json& value, std::size_t limit) {
    std::string text = printable(whole_text(value));
    if (characters(text) <= limit) return text;
    std::size_t end = 0;
    for (std::size_t seen = 0; end < text.size(); ++end) {
        const bool starts = (static_cast<unsigned char>(text[end]) & 0xc0u) != 0x80u;
        if (starts && ++seen >= limit) break;
    }
    return text.substr(0, end) + "…";
}

std::string time_of_day(Timestamp when) {
    return to_human(when).substr(11);
}

std::string duration_text(const std::optional<Duration>& duration) {
    return duration ? to_human(*duration) : "-";
}

std::string loud(Verdict verdict) {
    std::string text(to_text(verdict));
    for (char& c : text)
        c = c == '_' ? ' ' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    return text;
}

std::string_view meaning(Verdict verdict) {
    switch (verdict) {
        case Verdict::recovered:
            return "The service is back, its data was verified, and no objective was missed.";
        case Verdict::recovered_late:
            return "The service is back and its data was verified, but an objective was missed.";
        case Verdict::unverified:
            return "The steps ended well, but none of them proved the data: look at it before you trust it.";
        case Verdict::rolled_back:
            return "The recovery failed and everything it had done was put back.";
        case Verdict::rollback_incomplete:
            return "The recovery failed, and not everything it had done could be put back: hands are needed now.";
        case Verdict::failed:
            return "The recovery failed.";
        case Verdict::aborted:
            return "The run was given up where it stood; nothing was undone.";
        case Verdict::paused:
            return "The run waits and can go on.";
        case Verdict::in_doubt:
            return "Whether a step was done cannot be told from here: a person has to look and say.";
    }
    return "";
}

Tone tone_of(Verdict verdict) {
    switch (verdict) {
        case Verdict::recovered:
            return Tone::good;
        case Verdict::recovered_late:
        case Verdict::unverified:
        case Verdict::rolled_back:
        case Verdict::paused:
            return Tone::doubtful;
        case Verdict::rollback_incomplete:
        case Verdict::failed:
        case Verdict::aborted:
        case Verdict::in_doubt:
            return Tone::bad;
    }
    return Tone::plain;
}

std::string decision_text(PersonDecided::What what, std::string_view step, bool accept_loss) {
    const std::string name = "'" + std::string(step) + "'";
    switch (what) {
        case PersonDecided::What::answer_done:
            return "step " + name + " was done";
        case PersonDecided::What::answer_not_done:
            return "step " + name + " was not done";
        case PersonDecided::What::answer_retry:
            return "try step " + name + " again";
        case PersonDecided::What::rollback:
            return accept_loss ? "roll back, accepting the loss of what was written since" : "roll back";
        case PersonDecided::What::abandon:
            return "give the run up where it stands";
    }
    return "";
}

std::string padded(std::string text, std::size_t width) {
    const std::size_t now = characters(text);
    if (now < width) text.append(width - now, ' ');
    return text;
}

}  // namespace lifeboat
