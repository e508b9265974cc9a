// How values are said to people, the same in plans, status, live lines and reports. Everything returned is one line of
// printable text: what came from outside cannot drive a terminal.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/time.h"
#include "engine/event.h"

namespace lifeboat {

// What the reader's terminal can show.
struct TextStyle {
    bool colour = false;
    bool unicode = true;
};

enum class Tone { plain, strong, faint, good, doubtful, bad };
std::string painted(Tone tone, std::string_view text, TextStyle style);

// A value of arguments or outputs: texts bare, secrets as ‹name›, resources by name, lists and maps compact. At most
// `limit` characters, then "…".
std::string value_text(const Json& value, std::size_t limit = 200);

// "02:00:13Z"
std::string time_of_day(Timestamp when);
// "4m 12s", or "-"
std::string duration_text(const std::optional<Duration>& duration);
// RECOVERED, ROLLBACK INCOMPLETE: said loudly.
std::string loud(Verdict verdict);
// One sentence on what the verdict claims.
std::string_view meaning(Verdict verdict);
Tone tone_of(Verdict verdict);
// "retry", "rollback", … as people type it.
std::string decision_text(PersonDecided::What what, std::string_view step, bool accept_loss);
// `text` and blanks up to `width` characters.
std::string padded(std::string text, std::size_t width);

}  // namespace lifeboat
