#include "actions/lua_child.h"

#include <cstdlib>
#include <iostream>
#include <iterator>
#include <new>

#include <sys/resource.h>

#include "actions/authored.h"
#include "base/sanitizer.h"
#include "script/script.h"
#include "world/files.h"

namespace lifeboat {

namespace {

constexpr rlim_t memory_limit = 512u << 20;
constexpr rlim_t cpu_seconds = 60;

void set_limits() {
    const auto limit = [](auto what, rlim_t soft, rlim_t hard) {
        const rlimit limits{.rlim_cur = soft, .rlim_max = hard};
        ::setrlimit(what, &limits);
    };
    limit(RLIMIT_CORE, 0, 0);
    limit(RLIMIT_CPU, cpu_seconds, cpu_seconds + 1);  // SIGXCPU at the first, SIGKILL at the second
    // sanitizers reserve far more address space than they use
    if (!under_sanitizer) limit(RLIMIT_AS, memory_limit, memory_limit);
}

int run_from_stdin() {
    const std::string input{std::istreambuf_iterator<char>(std::cin), {}};
    const Json work = parse_json(input, "the script's input");
    const char* outputs_path = std::getenv("LIFEBOAT_OUTPUTS");
    if (outputs_path == nullptr) throw Error{ErrorCode::usage, "LIFEBOAT_OUTPUTS is not set"};
    const Json outputs =
        run_script(work.at("source").get_ref<const std::string&>(), work.at("name").get_ref<const std::string&>(),
                   work.at("scope"), {}, [](std::string_view line) { std::cout << line << std::endl; });
    write_durably(outputs_path, to_text(outputs));
    return 0;
}

}  // namespace

int lua_child_main() {
    try {
        set_limits();
        return run_from_stdin();
    } catch (const Error& error) {
        std::cerr << error.full_message() << std::endl;
        return error.code == ErrorCode::limit_exceeded ? script_limit_exit : script_failed_exit;
    } catch (const std::bad_alloc&) {
        std::cerr << "the script used too much memory" << std::endl;
        return script_limit_exit;
    } catch (const std::exception& error) {
        std::cerr << error.what() << std::endl;
        return script_failed_exit;
    }
}

}  // namespace lifeboat
