// Reading the files that a verb needs, with every mistake of all of them collected before anything is refused (R30).
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "cli/verb.h"
#include "runbook/draft.h"
#include "runbook/load.h"

namespace lifeboat {

// Thrown when a file is not valid: `rendered` is for people, `details` of the error hold the same as records.
class FilesRefused : public Error {
  public:
    FilesRefused(std::size_t errors, std::string rendered_text, Json diagnostics);
    std::string rendered;
};

class Loading {
  public:
    explicit Loading(Specs specs) : specs_(std::move(specs)) {}

    const Specs& specs() const { return specs_; }

    // The site of this session, or the site with nothing in it. A broken one is reported later, by `settle`.
    Site site(const Session& session);
    std::optional<std::filesystem::path> site_file() const { return site_file_; }
    std::optional<Runbook> runbook(const std::filesystem::path& path);
    std::optional<Drill> drill(const std::filesystem::path& path);
    std::optional<Draft> draft(const Runbook& runbook, const Site& site, const Call& call, Timestamp now);
    // A file of any kind, by its first key.
    void any(const std::filesystem::path& path);

    // Throws FilesRefused when any of the files has an error; else says the warnings, if any.
    void settle(Session& session);
    bool has_errors() const;

  private:
    void keep(Diagnostics diagnostics);

    Specs specs_;
    std::optional<std::filesystem::path> site_file_;
    std::vector<Diagnostics> found_;
};

// The runbook and the scripts that are different today from what `draft` was made of, named; one that is gone counts
// only when it was a script. Looked for where they were read, else by the runbook's name.
std::vector<std::string> changed_sources(const Draft& draft, const std::optional<std::filesystem::path>& site_file);

}  // namespace lifeboat
