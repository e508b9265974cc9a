#include "cli/verb.h"

namespace lifeboat {

std::vector<Subcommand> all_verbs() {
    return {plan_verb(),     run_verb(),    status_verb(), resume_verb(),  rollback_verb(), abandon_verb(),
            commit_verb(),   report_verb(), logs_verb(),   history_verb(), init_verb(),     check_verb(),
            validate_verb(), drill_verb(),  backup_verb(), actions_verb(), docs_verb(),     version_verb()};
}

const std::vector<OptionSpec>& common_options() {
    static const std::vector<OptionSpec> options{
        {.name = "--site",
         .value = "file",
         .doc = "The site file. Else: $LIFEBOAT_SITE, lifeboat.yaml here or above, /etc/lifeboat/lifeboat.yaml."},
        {.name = "--json", .value = "", .doc = "Print one JSON document on stdout and nothing else there."},
        {.name = "--log-level", .value = "level", .doc = "Diagnostics on stderr: off (default), error, info, debug."},
        {.name = "--help", .value = "", .doc = "Show this help.", .letter = 'h'},
    };
    return options;
}

}  // namespace lifeboat
