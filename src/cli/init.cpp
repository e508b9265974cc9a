#include "base/text.h"
#include "cli/init_texts.h"
#include "cli/places.h"
#include "cli/verb.h"
#include "world/sqlite.h"

namespace fs = std::filesystem;

namespace lifeboat {

namespace {

void make_folder(const fs::path& folder) {
    std::error_code problem;
    fs::create_directories(folder, problem);
    if (problem) throw_errno("make the folder '" + printable(folder.string()) + "'", problem.value());
}

int init(const Call& call, Session& session) {
    const fs::path root = call.one("dir").value_or(".");
    const std::vector<std::pair<fs::path, std::string_view>> files{
        {"lifeboat.yaml", initial_site()},
        {"runbooks/quickstart.yaml", initial_runbook()},
        {"drills/quickstart.yaml", initial_drill()},
        {"drills/fixtures/quickstart.sql", initial_database()},
        {"drills/fixtures/quickstart-config/shop.conf", initial_settings()},
        {"drills/fixtures/quickstart-config/features.json", initial_features()},
        {"data/config/shop.conf", initial_settings()},
        {"data/config/features.json", initial_features()},
    };
    const fs::path database = "data/shop.db";
    std::vector<fs::path> taken;
    std::error_code ignored;
    for (const auto& [path, text] : files) {
        if (fs::exists(root / path, ignored)) taken.push_back(path);
    }
    if (fs::exists(root / database, ignored)) taken.push_back(database);
    if (!taken.empty()) {
        throw Error{ErrorCode::usage,
                    "'" + printable((root / taken.front()).string()) + "' exists, nothing was written",
                    "Choose another folder: `lifeboat init <dir>`."};
    }
    Json written = Json::array();
    std::string names;
    for (const auto& [path, text] : files) {
        make_folder((root / path).parent_path());
        write_text_file(root / path, text);
        written.push_back(Json{{"file", (root / path).string()}});
        names += "  " + (root / path).string() + "\n";
    }
    SqliteDatabase::create(root / database).execute(initial_database());
    written.push_back(Json{{"file", (root / database).string()}});
    names += "  " + (root / database).string() + "\n";
    make_folder(root / "backups");
    if (session.json) {
        session.terminal.output(to_pretty_text(Json{{"files", std::move(written)}}) + "\n");
        return 0;
    }
    session.terminal.output("written:\n" + names);
    const std::string go = root == "." ? "" : "  cd " + root.string() + "\n";
    session.terminal.talk("\nnow try:\n" + go +
                          "  lifeboat backup create shop\n  lifeboat check\n  lifeboat plan quickstart\n  lifeboat "
                          "drill drills/quickstart.yaml\n");
    return 0;
}

}  // namespace

Subcommand init_verb() {
    return {
        .spec = {.name = "init",
                 .summary = "write a commented site, runbook and drill that run as they are",
                 .doc = "Writes lifeboat.yaml, runbooks/, drills/ and a small example (an SQLite database and a "
                        "configuration folder) into a "
                        "folder, to be tried and then changed. Never overwrites a file.",
                 .positionals = {{.name = "dir", .doc = "Where to; else here.", .required = false}},
                 .examples = {"lifeboat init try-it && cd try-it && lifeboat check"}},
        .act = init,
    };
}

}  // namespace lifeboat
