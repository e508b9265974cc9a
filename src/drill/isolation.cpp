#include "drill/isolation.h"

#include <algorithm>

#include <arpa/inet.h>

#include "base/text.h"
#include "script/expression.h"
#include "world/files.h"

namespace lifeboat {

namespace fs = std::filesystem;

namespace {

fs::path real_place(const fs::path& path) {
    std::error_code problem;
    const fs::path found = fs::weakly_canonical(path, problem);
    return problem ? path.lexically_normal() : found;
}

// Fields of a resource that are paths of this machine, made absolute from the folder of the site.
std::vector<std::pair<std::string, fs::path>> paths_of(const Resource& resource, const Specs& specs,
                                                       const fs::path& site_folder) {
    std::vector<std::pair<std::string, fs::path>> paths;
    const ResourceSpec* spec = specs.resource(resource.type);
    if (spec == nullptr) return paths;
    for (const ParameterSpec& field : spec->fields) {
        const auto found = resource.fields.find(field.name);
        if (field.type != ValueType::path || found == resource.fields.end() || !found->is_string()) continue;
        const fs::path path = found->get<std::string>();
        paths.emplace_back(field.name, path.is_absolute() ? path : site_folder / path);
    }
    return paths;
}

struct NamedHost {
    std::string where;  // "'app' (health_url)"
    std::string host;
};

// Hosts in fields called `host` and in URLs, at any depth. Expressions that need a run to be known stay as they are.
void find_hosts(const Json& value, const std::string& field, const std::string& where, std::vector<NamedHost>& found) {
    if (value.is_object()) {
        for (const auto& [name, each] : value.items())
            find_hosts(each, name, where, found);
    } else if (value.is_array()) {
        for (const Json& each : value)
            find_hosts(each, field, where, found);
    } else if (value.is_string()) {
        const auto& text = value.get_ref<const std::string&>();
        const bool is_url = text.find("://") != std::string::npos;
        if (field == "host" || is_url)
            found.push_back({where + (field.empty() ? "" : " (" + field + ")"), host_in(text)});
    }
}

// What can be put in before anything has run is put in; the rest stays as it is written.
Json expanded(const Json& value, const Json& scope) {
    if (value.is_structured()) {
        Json result = value;
        for (auto& each : result)
            each = expanded(each, scope);
        return result;
    }
    if (!value.is_string()) return value;
    try {
        return Template(value.get<std::string>()).expand(scope);
    } catch (const Error&) {  // known only later
        return value;
    }
}

Json scope_of(const IsolationQuestion& question) {
    Json inputs = Json::object();
    for (const Input& input : question.runbook.inputs)
        if (input.default_value) inputs[input.name] = *input.default_value;
    inputs.update(question.drill.inputs);
    Json resources = Json::object();
    for (const auto& [name, resource] : question.sandbox.resources)
        resources[name] = resource.fields;
    return {{"inputs", inputs}, {"resources", resources}};
}

void find_hosts_of_steps(const std::vector<Step>& steps, const std::string& list, const Json& scope,
                         std::vector<NamedHost>& found) {
    for (const Step& step : steps) {
        const std::string where = list + " step '" + step.id + "'";
        for (const Deed* deed :
             {&step.deed, step.fallback ? &*step.fallback : nullptr, step.rollback ? &*step.rollback : nullptr})
            if (deed != nullptr) find_hosts(expanded(deed->arguments, scope), "", where, found);
    }
}

bool runs_own_code(const Step& step) {
    for (const Deed* deed :
         {&step.deed, step.fallback ? &*step.fallback : nullptr, step.rollback ? &*step.rollback : nullptr})
        if (deed != nullptr && (deed->action == "run" || deed->action == "lua")) return true;
    return false;
}

// Links in a copied tree that lead out of the sandbox.
void find_links_outside(const fs::path& root, const fs::path& sandbox, const std::string& name,
                        std::vector<std::string>& doubts) {
    std::error_code problem;
    for (auto entry = fs::recursive_directory_iterator(root, fs::directory_options::skip_permission_denied, problem);
         !problem && entry != fs::recursive_directory_iterator(); entry.increment(problem)) {
        if (!entry->is_symlink(problem)) continue;
        const fs::path target = fs::read_symlink(entry->path(), problem);
        const fs::path absolute = real_place(target.is_absolute() ? target : entry->path().parent_path() / target);
        if (!lies_within(absolute, sandbox))
            doubts.push_back("'" + name + "': the link '" + entry->path().string() +
                             "' leads out of the sandbox, to '" + absolute.string() + "'");
    }
}

class Examination {
  public:
    explicit Examination(const IsolationQuestion& question)
        : question_(question), folder_(real_place(question.folder)) {}

    std::vector<std::string> doubts() && {
        if (!question_.sandbox.drill) doubts_.push_back("the sandbox's site carries no drill's mark");
        look_at_paths();
        look_at_bindings();
        look_at_hosts();
        look_at_servers();
        look_at_steps(question_.runbook.steps);
        look_at_steps(question_.runbook.always);
        if (question_.real != nullptr)
            for (std::string& doubt : doubts_about_folder(folder_, *question_.real, question_.specs))
                doubts_.push_back(std::move(doubt));
        return std::move(doubts_);
    }

  private:
    void look_at_paths() {
        for (const auto& [name, resource] : question_.sandbox.resources) {
            for (const auto& [field, path] : paths_of(resource, question_.specs, folder_)) {
                if (!lies_within(real_place(path), folder_)) {
                    doubts_.push_back("'" + name + "': " + field + " '" + path.string() +
                                      "' lies outside of the sandbox '" + folder_.string() + "'");
                } else {
                    find_links_outside(path, folder_, name, doubts_);
                }
            }
        }
        if (!lies_within(real_place(question_.sandbox.state), folder_))
            doubts_.push_back("the runs would be kept in '" + question_.sandbox.state + "', outside of the sandbox");
    }

    void look_at_bindings() {
        for (const auto& [name, resource] : question_.sandbox.resources) {
            const bool marked = question_.sandbox.drill && question_.sandbox.drill->nonces.contains(name);
            if (!marked) doubts_.push_back("'" + name + "' has no nonce");
        }
        for (const Requirement& each : question_.runbook.requires_) {
            const bool bound =
                question_.sandbox.resources.contains(each.name) || question_.sandbox.backups.contains(each.name);
            if (!bound)
                doubts_.push_back("'" + each.name + "', which the runbook requires, is not bound by the sandbox");
        }
    }

    void look_at_hosts() {
        std::vector<NamedHost> hosts;
        for (const auto& [name, resource] : question_.sandbox.resources)
            find_hosts(resource.fields, "", "'" + name + "'", hosts);
        const Json scope = scope_of(question_);
        find_hosts_of_steps(question_.runbook.steps, "runbook's", scope, hosts);
        find_hosts_of_steps(question_.runbook.always, "runbook's", scope, hosts);
        find_hosts_of_steps(question_.drill.setup, "setup", scope, hosts);
        find_hosts_of_steps(question_.drill.disaster, "disaster", scope, hosts);
        find_hosts_of_steps(question_.drill.observe, "observe", scope, hosts);
        for (const NamedHost& each : hosts) {
            const bool socket = each.host.starts_with('/') && lies_within(real_place(each.host), folder_);
            if (!is_loopback(each.host) && !socket)
                doubts_.push_back(each.where + ": '" + each.host + "' is not this machine's loopback");
            for (const std::string& pattern : question_.drill.never_touch_hosts)
                if (matches_pattern(pattern, each.host))
                    doubts_.push_back(each.where + ": '" + each.host + "' may never be touched ('" + pattern + "')");
        }
    }

    // A real server on the sandbox's own port would have been taken before; still it is asked.
    void look_at_servers() {
        if (question_.real == nullptr) return;
        for (const auto& [name, resource] : question_.sandbox.resources) {
            for (const auto& [real_name, real] : question_.real->resources) {
                if (real.type != resource.type || !real.fields.contains("port")) continue;
                const std::string host = real.fields.value("host", "");
                const bool same_host = host == resource.fields.value("host", "") ||
                                       (is_loopback(host) && is_loopback(resource.fields.value("host", "")));
                if (same_host && real.fields["port"] == resource.fields.value("port", Json()))
                    doubts_.push_back("'" + name + "' would be the server of '" + real_name + "' in '" +
                                      question_.real->file + "'");
            }
        }
    }

    void look_at_steps(const std::vector<Step>& steps) {
        for (const Step& step : steps) {
            if (runs_own_code(step) && !step.safe_in_drill)
                doubts_.push_back("step '" + step.id +
                                  "' of the runbook runs code of its own and does not say `drill: safe`");
        }
    }

    const IsolationQuestion& question_;
    fs::path folder_;
    std::vector<std::string> doubts_;
};

}  // namespace

std::string host_in(const std::string& text) {
    const std::size_t scheme = text.find("://");
    if (scheme == std::string::npos) return text;
    std::string rest = text.substr(scheme + 3);
    rest = rest.substr(0, rest.find_first_of("/?#"));
    const std::size_t user = rest.rfind('@');
    if (user != std::string::npos) rest = rest.substr(user + 1);
    if (rest.starts_with('[')) return rest.substr(1, rest.find(']') - 1);
    return rest.substr(0, rest.find(':'));
}

bool is_loopback(std::string_view host) {
    if (host == "localhost") return true;
    const std::string text(host);
    in_addr four{};
    if (::inet_pton(AF_INET, text.c_str(), &four) == 1) return (ntohl(four.s_addr) >> 24) == 127;
    in6_addr six{};
    return ::inet_pton(AF_INET6, text.c_str(), &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

bool matches_pattern(std::string_view pattern, std::string_view host) {
    const auto same = [](char a, char b) {
        const auto low = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
        return low(a) == low(b);
    };
    // the last '*' seen and how much it has taken so far
    std::size_t p = 0, h = 0, star = std::string_view::npos, taken = 0;
    while (h < host.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            taken = h;
        } else if (p < pattern.size() && same(pattern[p], host[h])) {
            ++p;
            ++h;
        } else if (star != std::string_view::npos) {
            p = star + 1;
            h = ++taken;
        } else {
            return false;
        }
    }
    return pattern.substr(p).find_first_not_of('*') == std::string_view::npos;
}

std::vector<std::string> doubts_about_folder(const fs::path& folder, const Site& real, const Specs& specs) {
    std::vector<std::string> doubts;
    const fs::path sandbox = real_place(folder);
    const fs::path site_folder = fs::absolute(real.file).parent_path();
    for (const auto& [name, resource] : real.resources) {
        for (const auto& [field, path] : paths_of(resource, specs, site_folder)) {
            const fs::path place = real_place(path);
            if (lies_within(sandbox, place) || lies_within(place, sandbox))
                doubts.push_back("the sandbox '" + sandbox.string() + "' and '" + place.string() + "' of '" + name +
                                 "' (" + field + ") in '" + real.file + "' are not apart");
        }
    }
    return doubts;
}

std::vector<std::string> doubts_about_places(const DrillSandbox& sandbox, const Specs& specs) {
    std::vector<std::string> doubts;
    for (const auto& [name, resource] : sandbox.resources()) {
        const fs::path own = sandbox.folder_of(name);
        for (const auto& [field, path] : paths_of(resource, specs, own)) {
            const fs::path place = real_place(path);
            if (!lies_within(place, real_place(own)))
                doubts.push_back("'" + name + "': " + field + " '" + place.string() +
                                 "' lies outside of its folder in the sandbox, '" + own.string() + "'");
        }
    }
    return doubts;
}

std::vector<std::string> doubts_about_definitions(const IsolationQuestion& question) {
    return Examination(question).doubts();
}

std::vector<std::string> doubts_about_nonces(const DrillSandbox& sandbox) {
    std::vector<std::string> doubts;
    for (const auto& [name, nonce] : sandbox.nonces()) {
        try {
            const Resource& resource = sandbox.resources().at(name);
            std::string seen(trim(read_small_file(sandbox.folder_of(name) / "nonce")));
            if (seen == nonce && resource.type == "postgres") {
                PostgresConnection connection(sandbox.postgres(name, "postgres"));
                seen = connection.value("show cluster_name").value_or("");
            }
            if (seen != nonce)
                doubts.push_back("'" + name + "' shows '" + printable(seen) +
                                 "' instead of the nonce that it was made with");
        } catch (const Error& error) {
            doubts.push_back("the nonce of '" + name + "' cannot be read: " + error.full_message());
        }
    }
    return doubts;
}

}  // namespace lifeboat
