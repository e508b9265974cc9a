#include "runs/holder.h"

#include <array>

#include <pwd.h>
#include <unistd.h>

#include "base/text.h"
#include "base/version.h"
#include "world/file_lock.h"
#include "world/machine.h"
#include "world/process.h"

namespace lifeboat {

namespace {

std::string user_name() {
    std::array<char, 4096> buffer{};
    passwd entry{};
    passwd* found = nullptr;
    if (::getpwuid_r(::geteuid(), &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) {
        return found->pw_name;
    }
    return "uid " + std::to_string(::geteuid());
}

}  // namespace

Json to_json(const Holder& holder) {
    Json value = to_json(holder.runner);
    value["run"] = holder.run_id;
    value["since"] = to_text(holder.since);
    if (!holder.identity.empty()) value["identity"] = holder.identity;
    return value;
}

std::optional<Holder> holder_from(std::string_view text) {
    const Json value = Json::parse(text.begin(), text.end(), nullptr, false);
    if (!value.is_object()) return std::nullopt;
    try {
        return Holder{.run_id = value.at("run"),
                      .runner = {.host = value.at("host"),
                                 .user = value.at("user"),
                                 .pid = value.at("pid"),
                                 .start_ticks = value.at("start_ticks"),
                                 .boot_id = value.at("boot_id"),
                                 .version = value.value("version", "")},
                      .since = parse_timestamp(value.at("since").get<std::string>()).value_or(Timestamp{}),
                      .identity = value.value("identity", "")};
    } catch (const Json::exception&) {
        return std::nullopt;
    }
}

std::string to_text(const Holder& holder) {
    return "run '" + holder.run_id + "' of user '" + printable(holder.runner.user) + "' on host '" +
           printable(holder.runner.host) + "' (process " + std::to_string(holder.runner.pid) + ") since " +
           to_human(holder.since);
}

Runner this_runner() {
    const ChildIdentity self = this_process();
    return {.host = host_name(),
            .user = user_name(),
            .pid = self.pid,
            .start_ticks = self.start_ticks,
            .boot_id = self.boot_id,
            .version = std::string(version())};
}

std::optional<Holder> holder_of(const std::filesystem::path& lock) {
    return holder_from(FileLock::note_in(lock));
}

}  // namespace lifeboat
