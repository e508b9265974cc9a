#include "actions/family.h"
#include "actions/waiting.h"
#include "base/text.h"
#include "world/http.h"
#include "world/net.h"

namespace lifeboat {

namespace {

// One question may not use up the time for all of them: a server that hangs at first may answer the next one.
constexpr Duration one_try = std::chrono::seconds(10);

const ActionSpec& http_check_spec() {
    static const ActionSpec spec{
        .name = "http.check",
        .summary = "Ask a URL until it answers as expected",
        .doc =
            "Asks the URL until it answers with the expected status, and text where one is given, or "
            "`within` is over. Redirects are not followed: they are answers too. Proves that "
            "something lives there; it claims nothing about data.",
        .parameters =
            {{.name = "url",
              .type = ValueType::text,
              .doc = "What is asked; http or https.",
              .required = true,
              .may_be_secret = true},
             {.name = "status", .type = ValueType::integer, .doc = "The status wanted.", .default_value = 200},
             {.name = "contains",
              .type = ValueType::text,
              .doc = "A text that the body has to hold, in its first MiB."},
             {.name = "within",
              .type = ValueType::duration,
              .doc = "How long it may take until the answer is right.",
              .default_value = "30s"},
             {.name = "interval",
              .type = ValueType::duration,
              .doc = "The pause between two questions.",
              .default_value = "1s"},
             {.name = "method",
              .type = ValueType::text,
              .doc = "How it is asked.",
              .default_value = "GET",
              .choices = {"GET", "HEAD", "POST"}},
             {.name = "headers", .type = ValueType::map, .doc = "Headers of the request.", .may_be_secret = true}},
        .outputs = {{.name = "status", .type = ValueType::integer, .doc = "The status of the last answer."},
                    {.name = "attempts", .type = ValueType::integer, .doc = "How often it was asked."}},
        .effect = Effect::read,
        .proves = Proves::liveness,
        .repeatable = true,
        .errors = {{.code = ErrorCode::not_healthy},
                   {.code = ErrorCode::invalid_file},
                   {.code = ErrorCode::secret_missing},
                   {.code = ErrorCode::timed_out},
                   {.code = ErrorCode::cancelled}},
        .example =
            "- id: healthy\n"
            "  phase: verify\n"
            "  uses: http.check\n"
            "  with: {url: \"${{ resources.app.health_url }}\", status: 200, within: 2m}\n",
    };
    return spec;
}

const ActionSpec& tcp_check_spec() {
    static const ActionSpec spec{
        .name = "tcp.check",
        .summary = "Wait until a port accepts connections",
        .doc = "Connects to the port until it accepts or `within` is over. Proves that something listens there.",
        .parameters = {{.name = "host", .type = ValueType::text, .doc = "Name or address.", .required = true},
                       {.name = "port", .type = ValueType::integer, .doc = "From 1 to 65535.", .required = true},
                       {.name = "within",
                        .type = ValueType::duration,
                        .doc = "How long it may take until it accepts.",
                        .default_value = "30s"},
                       {.name = "interval",
                        .type = ValueType::duration,
                        .doc = "The pause between two attempts.",
                        .default_value = "1s"}},
        .outputs = {{.name = "attempts", .type = ValueType::integer, .doc = "How often it was tried."}},
        .effect = Effect::read,
        .proves = Proves::liveness,
        .repeatable = true,
        .errors = {{.code = ErrorCode::not_healthy},
                   {.code = ErrorCode::invalid_file},
                   {.code = ErrorCode::timed_out},
                   {.code = ErrorCode::cancelled}},
        .example =
            "- id: listens\n"
            "  uses: tcp.check\n"
            "  with: {host: db1, port: 5432, within: 1m}\n",
    };
    return spec;
}

Duration duration_in(const Json& value, const char* name) {
    return parse_duration(value.at(name).get<std::string>()).value_or(Duration::zero());
}

// Tries until `attempt` finds nothing wrong; it gets its deadline and returns what is. Returns how often it was tried.
template <typename Attempt>
int until_well(const Context& context, const Json& arguments, const std::string& subject, Attempt attempt) {
    const Duration within = duration_in(arguments, "within");
    const SteadyTime until = deadline_in(context, within);
    for (int attempts = 1;; ++attempts) {
        std::string wrong;
        try {
            wrong = attempt(std::min(until, deadline_in(context, one_try)));
        } catch (const Error& error) {
            // the time over is this check's own, unless it is the deed's
            if (error.code == ErrorCode::cancelled || error.code == ErrorCode::invalid_file) throw;
            wrong = error.message;
        }
        if (wrong.empty()) return attempts;
        check_time(context);
        context.log(subject + ": " + wrong);
        context.progress({.what = subject + ": " + wrong, .done = attempts, .unit = "attempts"});
        const Duration pause = duration_in(arguments, "interval");
        if (steady_now() + pause >= until) {
            throw Error{ErrorCode::not_healthy, subject + " was not well within " + to_human(within) + " (asked " +
                                                    counted(static_cast<std::size_t>(attempts), "time") +
                                                    "): " + wrong};
        }
        wait_for(context, pause);
    }
}

class HttpCheck final : public Action {
  public:
    explicit HttpCheck(const ActionWorld& world) : world_(world) {}
    const ActionSpec& spec() const override { return http_check_spec(); }
    Intent prepare(Context& context) const override { return context.arguments; }

    Outputs run(const Intent& intent, Context& context) const override {
        HttpRequest request{.method = intent.at("method").get<std::string>(),
                            .url = resolve_secret(intent.at("url"), world_.secrets),
                            .stop = context.stop};
        if (const auto headers = intent.find("headers"); headers != intent.end() && headers->is_object()) {
            for (const auto& [name, value] : headers->items())
                request.headers.push_back({name, resolve_secret(value, world_.secrets)});
        }
        const int wanted = intent.at("status").get<int>();
        const auto text = intent.find("contains");
        const std::string contains = text != intent.end() && text->is_string() ? text->get<std::string>() : "";
        const std::string subject =
            "'" +
            (intent.at("url").is_string() ? intent.at("url").get<std::string>() : origin_of(request.url.reveal())) +
            "'";

        int status = 0;
        const int attempts = until_well(context, intent, subject, [&](SteadyTime deadline) -> std::string {
            request.deadline = deadline;
            const HttpResponse response = http_request(request);
            status = response.status;
            if (status != wanted) {
                return "answered " + std::to_string(status) + " instead of " + std::to_string(wanted);
            }
            if (response.body.find(contains) == std::string::npos) {
                return "answered " + std::to_string(status) + " without '" + printable(contains) + "'";
            }
            return {};
        });
        return {{"status", status}, {"attempts", attempts}};
    }

  private:
    const ActionWorld& world_;
};

class TcpCheck final : public Action {
  public:
    const ActionSpec& spec() const override { return tcp_check_spec(); }
    Intent prepare(Context& context) const override { return context.arguments; }

    Outputs run(const Intent& intent, Context& context) const override {
        const std::string host = intent.at("host").get<std::string>();
        const int port = intent.at("port").get<int>();
        const std::string subject = "'" + host + "' port " + std::to_string(port);
        const int attempts = until_well(context, intent, subject, [&](SteadyTime deadline) -> std::string {
            connect_tcp(host, port, deadline, context.stop);
            return {};
        });
        return {{"attempts", attempts}};
    }
};

}  // namespace

ActionList check_actions(const ActionWorld& world) {
    ActionList list;
    list.push_back(std::make_unique<HttpCheck>(world));
    list.push_back(std::make_unique<TcpCheck>());
    return list;
}

}  // namespace lifeboat
