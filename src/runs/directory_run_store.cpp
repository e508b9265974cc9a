#include "runs/directory_run_store.h"

#include <algorithm>
#include <cerrno>
#include <random>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "runs/journal_file.h"
#include "runs/open_file.h"
#include "world/file_lock.h"
#include "world/files.h"

namespace lifeboat {

namespace {

constexpr std::size_t stamp_length = 19;  // 2026-02-01T02-00-00

bool fits_in_a_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
}

// A name that stays inside its folder, whatever it was made from.
std::string file_name(std::string_view text) {
    std::string name;
    for (const char c : text.substr(0, 200))
        name += fits_in_a_name(c) ? c : '-';
    return name.empty() || name[0] == '.' ? "-" + name : name;
}

std::string new_run_id(std::string_view runbook, Timestamp now) {
    std::string id = to_text(now).substr(0, stamp_length);
    std::replace(id.begin(), id.end(), ':', '-');
    id += "-" + file_name(runbook.substr(0, 120)) + "-";
    std::random_device random;
    for (int i = 0; i < 4; ++i)
        id += "0123456789abcdef"[random() & 0xfu];
    return id;
}

// What the id itself says: when, and which runbook.
StoredRun named_run(const std::string& id) {
    StoredRun run{.run_id = id};
    if (id.size() < stamp_length + 6) return run;
    run.runbook = id.substr(stamp_length + 1, id.size() - stamp_length - 6);
    std::string stamp = id.substr(0, stamp_length);
    stamp[13] = stamp[16] = ':';
    run.started_at = parse_timestamp(stamp + "Z").value_or(Timestamp{});
    return run;
}

// Below `folder` only: a plan file may come from anywhere.
void write_script(const std::filesystem::path& folder, const std::filesystem::path& name, std::string_view text) {
    const bool inside = name.is_relative() && !name.empty() &&
                        std::none_of(name.begin(), name.end(),
                                     [](const auto& part) { return part == ".." || part == "." || part.empty(); });
    if (!inside)
        throw Error{ErrorCode::invalid_file, "script '" + printable(name.string()) + "' is not below 'scripts/'"};
    const auto path = folder / name;
    make_directories(path.parent_path());
    write_durably(path, text);
}

class LockedJournal final : public Journal {
  public:
    LockedJournal(FileLock lock, JournalFile file) : lock_(std::move(lock)), file_(std::move(file)) {}
    void append(std::span<const Event> events) override { file_.append(events); }
    void sync() override { file_.sync(); }
    std::string head() const override { return file_.head(); }

  private:
    FileLock lock_;
    JournalFile file_;
};

}  // namespace

DirectoryRunStore::DirectoryRunStore(const std::filesystem::path& state, const Clock& clock)
    : state_(std::filesystem::absolute(state).lexically_normal()),
      runs_(state_ / "runs"),
      clock_(clock),
      locks_(state_, [this](const std::string& run_id) { return is_over(run_id); }) {}

// A link is made with its content in one step, and one that leads nowhere is that of a run which never began.
void DirectoryRunStore::spend(const Plan& plan, const std::string& run_id) const {
    const auto link = state_ / "plans" / file_name(plan.digest);
    make_directories(link.parent_path());
    const std::string target = "../runs/" + run_id;
    while (::symlink(target.c_str(), link.c_str()) != 0) {
        if (errno != EEXIST) throw_errno("make the link '" + link.string() + "'", errno);
        std::error_code gone;
        const auto earlier = std::filesystem::read_symlink(link, gone).filename();
        if (!gone && std::filesystem::exists(link)) {
            throw Error{ErrorCode::stale_plan,
                        "the plan was used already, by run '" + printable(earlier.string()) + "'",
                        "Make a new plan and have it approved; `lifeboat status " + printable(earlier.string()) +
                            "` shows what became of that run."};
        }
        if (::unlink(link.c_str()) != 0 && errno != ENOENT) throw_errno("remove '" + link.string() + "'", errno);
    }
    sync_directory(link.parent_path());
}

std::string DirectoryRunStore::create(const Plan& plan, Timestamp now, PlanUse use) {
    make_directories(runs_);
    const std::string id = new_run_id(plan.draft.runbook, now);
    const auto run = runs_ / id;
    if (::mkdir(run.c_str(), 0700) != 0) throw_errno("make folder '" + run.string() + "'", errno);
    if (use == PlanUse::once) {
        try {
            spend(plan, id);
        } catch (const Error&) {
            ::rmdir(run.c_str());
            throw;
        }
    }
    for (const char* part : {"steps", "logs", "scripts"})
        make_directories(run / part);
    write_durably(run / "runbook.yaml", plan.draft.runbook_source);
    for (const auto& [name, text] : plan.draft.scripts)
        write_script(run / "scripts", name, text);
    write_durably(run / "journal.jsonl", "");
    write_durably(run / "plan.json", to_pretty_text(to_json(plan)) + "\n");
    sync_directory(runs_);
    return id;
}

std::filesystem::path DirectoryRunStore::folder(const std::string& run_id) const {
    const bool plain = !run_id.empty() && run_id[0] != '.' && std::all_of(run_id.begin(), run_id.end(), fits_in_a_name);
    const auto run = runs_ / run_id;
    if (plain && std::filesystem::exists(run / "plan.json")) return run;
    std::vector<std::string> names;
    for (const StoredRun& each : list())
        names.push_back(each.run_id);
    throw Error{
        ErrorCode::not_found,
        "there is no run '" + printable(run_id) + "' in '" + state_.string() + "'" + did_you_mean(run_id, names),
        "'lifeboat history' lists the runs."};
}

Plan DirectoryRunStore::plan(const std::string& run_id) const {
    const auto path = folder(run_id) / "plan.json";
    return plan_from_json(parse_json(read_file_if_any(path).value_or(""), path.string()));
}

EventsSeen DirectoryRunStore::each_event(const std::string& run_id, const std::function<void(Event)>& take) const {
    JournalSeen seen = each_record(folder(run_id) / "journal.jsonl", take);
    return {.head = std::move(seen.head), .torn_tail = std::move(seen.torn_tail)};
}

TakenOver DirectoryRunStore::take_over(const std::string& run_id, const std::function<void(Event)>& take) {
    const auto run = folder(run_id);
    auto lock = FileLock::try_take(run / "lock");
    if (!lock) {
        const auto holder = holder_of(run / "lock");
        Error error{
            ErrorCode::locked,
            "run '" + run_id + "' is under way: " + (holder ? to_text(*holder) + " has it" : "another process has it"),
            "Look at it with 'lifeboat status " + run_id + "'."};
        if (holder) error.details = to_json(*holder);
        throw error;
    }
    lock->write_note(to_text(to_json(Holder{.run_id = run_id, .runner = this_runner(), .since = clock_.now()})));
    const auto path = run / "journal.jsonl";
    JournalSeen seen = each_record(path, take);
    return {.journal = std::make_unique<LockedJournal>(std::move(*lock), JournalFile{path, seen}),
            .seen = {.head = std::move(seen.head), .torn_tail = std::move(seen.torn_tail)}};
}

std::vector<StoredRun> DirectoryRunStore::list() const {
    std::vector<StoredRun> all;
    if (!std::filesystem::is_directory(runs_)) return all;
    for (const auto& entry : std::filesystem::directory_iterator(runs_)) {
        if (!std::filesystem::exists(entry.path() / "plan.json")) continue;
        StoredRun run = named_run(entry.path().filename().string());
        try {
            const Glimpse seen = glimpse(entry.path() / "journal.jsonl");
            if (seen.started_at) run.started_at = *seen.started_at;
            run.ended = seen.ended;
            run.verdict = seen.verdict;
        } catch (const Error&) {
            // a run that lost its journal must not hide the others; whoever reads it is told
        }
        all.push_back(std::move(run));
    }
    std::sort(all.begin(), all.end(), [](const StoredRun& a, const StoredRun& b) {
        return std::tie(a.started_at, a.run_id) > std::tie(b.started_at, b.run_id);
    });
    return all;
}

std::unique_ptr<Held> DirectoryRunStore::lock_targets(const std::string& run_id,
                                                      const std::vector<TargetIdentity>& targets,
                                                      const Runner& runner) {
    return locks_.take(targets, {.run_id = run_id, .runner = runner, .since = clock_.now()});
}

void DirectoryRunStore::release_claims(const std::string& run_id) {
    locks_.release_claims(run_id);
}

// Without a record nothing was touched yet, and to go on it must claim its targets again.
bool DirectoryRunStore::is_over(const std::string& run_id) const {
    const auto journal = runs_ / file_name(run_id) / "journal.jsonl";
    if (!std::filesystem::exists(journal)) return true;
    const Glimpse seen = glimpse(journal);
    return seen.ended || !seen.begun;
}

void DirectoryRunStore::discard(const std::string& run_id) {
    const auto run = folder(run_id);
    const auto lock = FileLock::try_take(run / "lock");
    if (!lock || glimpse(run / "journal.jsonl").begun) {
        throw Error{ErrorCode::refused, "run '" + run_id + "' has begun, so it is kept"};
    }
    release_claims(run_id);
    ::unlink((run / "plan.json").c_str());
    std::filesystem::remove_all(run);
    sync_directory(runs_);
}

std::optional<Holder> DirectoryRunStore::runner_of(const std::string& run_id) const {
    const auto path = folder(run_id) / "lock";
    if (!std::filesystem::exists(path) || FileLock::try_take(path)) return std::nullopt;
    return holder_of(path).value_or(Holder{.run_id = run_id});
}

Workspace DirectoryRunStore::workspace(const std::string& run_id, const std::string& step_id) const {
    return {runs_ / file_name(run_id) / "steps" / file_name(step_id), [](const std::filesystem::path& path) {
                if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
                    throw_errno("make folder '" + path.string() + "'", errno);
            }};
}

std::filesystem::path DirectoryRunStore::log_file(const std::string& run_id, const std::string& step_id) const {
    return runs_ / file_name(run_id) / "logs" / (file_name(step_id) + ".log");
}

}  // namespace lifeboat
