#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

#include "actions/files_family.h"
#include "base/error.h"
#include "base/text.h"
#include "world/file_content.h"
#include "world/files.h"

namespace lifeboat {

namespace fs = std::filesystem;

namespace {

ActionSpec declare() {
    ActionSpec spec;
    spec.name = "fault.corrupt_file";
    spec.summary = "Damage a file of the sandbox: overwrite some of its bytes, or cut it";
    spec.doc =
        "For drills only. Writes into the file in place, as bad hardware would. A copy is kept in the step's folder; "
        "undo puts the old bytes back. The probe looks "
        "whether the damage is there.";
    spec.parameters = {
        {.name = "of",
         .type = ValueType::resource,
         .doc = "Whose file it is.",
         .required = true,
         .kind = "files|sqlite",
         .target = true},
        {.name = "file", .doc = "The file below the resource's directory; not for a resource that is one file."},
        {.name = "offset",
         .type = ValueType::integer,
         .doc = "Where the bytes go, counted from 0.",
         .default_value = 0},
        {.name = "bytes", .doc = "What is written there."},
        {.name = "times", .type = ValueType::integer, .doc = "How often it is repeated.", .default_value = 1},
        {.name = "truncate", .type = ValueType::size, .doc = "Instead: the size that the file is cut to."},
    };
    spec.outputs = {
        {.name = "path", .type = ValueType::path, .doc = "The damaged file."},
        {.name = "size", .type = ValueType::integer, .doc = "Its size now, in bytes."},
    };
    spec.effect = Effect::change;
    spec.has_probe = true;
    spec.repeatable = true;
    spec.drill_only = true;
    spec.errors = {{ErrorCode::refused, true}, {ErrorCode::not_found, true}, {ErrorCode::invalid_file, true}};
    spec.example =
        "- id: hit\n  uses: fault.corrupt_file\n  with: {of: db, offset: 4096, bytes: garbage, times: 200}\n";
    return spec;
}

constexpr std::uint64_t most_damage = 64u << 20;

struct Damage {
    std::uint64_t offset = 0;
    std::string bytes;
    std::optional<std::uint64_t> cut;
};

Damage damage_in(const Intent& intent) {
    Damage damage;
    if (const Json& cut = intent.at("truncate"); !cut.is_null()) {
        damage.cut = cut.get<std::uint64_t>();
        return damage;
    }
    damage.offset = intent.at("offset").get<std::uint64_t>();
    const auto piece = intent.at("bytes").get<std::string>();
    for (auto times = intent.at("times").get<std::uint64_t>(); times > 0; --times)
        damage.bytes += piece;
    return damage;
}

std::uint64_t count_argument(const Context& context, const char* name, std::uint64_t otherwise) {
    if (!has_argument(context, name)) return otherwise;
    const Json& value = context.arguments.at(name);
    if (!value.is_number_integer() || value.get<std::int64_t>() < 0) {
        throw Error{ErrorCode::invalid_file, "'" + std::string{name} + "' is no count"};
    }
    return value.get<std::uint64_t>();
}

class CorruptFile final : public Action {
  public:
    explicit CorruptFile(const ActionWorld& world) : world_(world) {}
    const ActionSpec& spec() const override { return spec_; }

    Intent prepare(Context& context) const override {
        if (!world_.resources.drill()) throw Error{ErrorCode::refused, "'fault.corrupt_file' is for drills only"};
        fs::path path = place_of_resource(world_, world_.resources.resolve(context.arguments.at("of")));
        if (has_argument(context, "file")) {
            const fs::path whole = path / context.arguments.at("file").get<std::string>();
            const fs::path real = fs::weakly_canonical(whole);
            if (!lies_within(real, path) || real == path)
                throw Error{ErrorCode::refused, "'" + whole.string() + "' does not lie in '" + path.string() + "'"};
            path = real;
        }
        if (!fs::is_regular_file(fs::symlink_status(path)))
            throw Error{ErrorCode::not_found, "there is no file '" + path.string() + "' to damage"};
        const Json cut = cut_argument(context);
        const std::string bytes =
            has_argument(context, "bytes") ? context.arguments.at("bytes").get<std::string>() : "";
        if (cut.is_null() == bytes.empty())
            throw Error{ErrorCode::invalid_file, "'fault.corrupt_file' wants either 'bytes' or 'truncate'"};
        const std::uint64_t times = count_argument(context, "times", 1);
        if (bytes.size() * std::min(times, most_damage) > most_damage)
            throw Error{ErrorCode::invalid_file, "that is more damage than 64 MiB"};
        return {{"path", path.string()}, {"offset", count_argument(context, "offset", 0)},
                {"bytes", bytes},        {"times", times},
                {"truncate", cut},       {"saved", (context.workspace / "undamaged").string()}};
    }

    Outputs run(const Intent& intent, Context& context) const override {
        const fs::path path = intent.at("path").get<std::string>();
        const fs::path saved = intent.at("saved").get<std::string>();
        if (!identity_of(saved)) {
            // Complete under its name or not there at all: undo relies on it.
            const fs::path partial = saved.string() + ".partial";
            remove_file(partial);
            copy_and_hash(path, partial, paced(context, "saving '" + path.string() + "'"));
            move_durably(partial, saved);
        }
        const Damage damage = damage_in(intent);
        const std::string names = "damage '" + path.string() + "'";
        const FileDescriptor file{::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW)};
        if (!file) throw_errno(names, errno);
        if (damage.cut) {
            if (::ftruncate(file.get(), static_cast<off_t>(*damage.cut)) != 0) throw_errno(names, errno);
        } else {
            if (::lseek(file.get(), static_cast<off_t>(damage.offset), SEEK_SET) < 0) throw_errno(names, errno);
            write_all(file.get(), std::as_bytes(std::span{damage.bytes}), names);
        }
        sync_content(file.get(), names);
        return outputs(path);
    }

    ProbeResult probe(const Intent& intent, const Notes&, Context&) const override {
        const fs::path path = intent.at("path").get<std::string>();
        const Damage damage = damage_in(intent);
        const bool there = is_damaged(path, damage);
        return {.answer = there ? ProbeResult::Answer::done : ProbeResult::Answer::not_done,
                .outputs = there ? outputs(path) : Json::object(),
                .evidence = "the damage is " + std::string{there ? "" : "not "} + "in '" + path.string() + "'"};
    }

    std::string undo(const Intent& intent, const Notes&, Context& context) const override {
        const fs::path path = intent.at("path").get<std::string>();
        const fs::path saved = intent.at("saved").get<std::string>();
        if (!identity_of(saved)) return {};
        const std::string names = "put back '" + path.string() + "'";
        const FileDescriptor from{::open(saved.c_str(), O_RDONLY | O_CLOEXEC)};
        const FileDescriptor to{::open(path.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOFOLLOW)};
        if (!from || !to) throw_errno(names, errno);
        copy_content(from.get(), to.get(), paced(context, names), names);
        sync_content(to.get(), names);
        remove_file(saved);
        return "put back the bytes of '" + path.string() + "'";
    }

  private:
    static Json cut_argument(const Context& context) {
        if (!has_argument(context, "truncate")) return nullptr;
        const Json& value = context.arguments.at("truncate");
        if (value.is_number_unsigned() || (value.is_number_integer() && value.get<std::int64_t>() >= 0)) return value;
        const auto size = value.is_string() ? parse_bytes(value.get<std::string>()) : std::nullopt;
        if (!size) throw Error{ErrorCode::invalid_file, "'truncate' is no size"};
        return size->count;
    }

    static bool is_damaged(const fs::path& path, const Damage& damage) {
        if (!identity_of(path)) return false;
        if (damage.cut) return fs::file_size(path) == *damage.cut;
        const FileDescriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
        if (!file || ::lseek(file.get(), static_cast<off_t>(damage.offset), SEEK_SET) < 0)
            throw_errno("read '" + path.string() + "'", errno);
        std::string found(damage.bytes.size(), '\0');
        found.resize(read_full(file.get(), std::as_writable_bytes(std::span{found}), "read '" + path.string() + "'"));
        return found == damage.bytes;
    }

    static Outputs outputs(const fs::path& path) { return {{"path", path.string()}, {"size", fs::file_size(path)}}; }

    ActionWorld world_;
    ActionSpec spec_ = declare();
};

}  // namespace

std::unique_ptr<Action> fault_corrupt_file(const ActionWorld& world) {
    return std::make_unique<CorruptFile>(world);
}

}  // namespace lifeboat
