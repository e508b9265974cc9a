#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

#include "actions/family.h"
#include "actions/waiting.h"
#include "base/text.h"
#include "world/file_descriptor.h"
#include "world/http.h"

namespace lifeboat {

namespace {

const ActionSpec& notify_send_spec() {
    static const ActionSpec spec{
        .name = "notify.send",
        .summary = "Tell people",
        .doc =
            "Sends the text to a notifier: a webhook gets a POST with {text, run, step} as JSON, an "
            "outbox a line with the same in its file. It waits no longer than `within` and tries "
            "once; under `always` a failure is shown and changes nothing.",
        .parameters =
            {{.name = "to", .type = ValueType::resource, .doc = "Who is told.", .required = true, .kind = "notifier"},
             {.name = "text", .type = ValueType::text, .doc = "What is said.", .required = true},
             {.name = "within", .type = ValueType::duration, .doc = "How long it may take.", .default_value = "10s"}},
        .effect = Effect::read,
        .repeatable = true,
        .errors = {{.code = ErrorCode::unreachable},
                   {.code = ErrorCode::connection_lost},
                   {.code = ErrorCode::denied},
                   {.code = ErrorCode::protocol_failed},
                   {.code = ErrorCode::secret_missing},
                   {.code = ErrorCode::invalid_file},
                   {.code = ErrorCode::timed_out},
                   {.code = ErrorCode::cancelled}},
        .example =
            "- id: tell\n"
            "  uses: notify.send\n"
            "  with: {to: oncall, text: \"${{ run.name }}: ${{ run.verdict }}\"}\n",
    };
    return spec;
}

class NotifySend final : public Action {
  public:
    explicit NotifySend(const ActionWorld& world) : world_(world) {}
    const ActionSpec& spec() const override { return notify_send_spec(); }
    Intent prepare(Context& context) const override { return context.arguments; }

    Outputs run(const Intent& intent, Context& context) const override {
        const ResolvedResource notifier = world_.resources.resolve(intent.at("to"));
        const std::string message =
            to_text(Json{{"text", intent.at("text")}, {"run", context.run_id}, {"step", context.step_id}});
        if (notifier.type == "webhook") {
            const Duration within = parse_duration(intent.at("within").get<std::string>()).value_or(Duration::zero());
            post(notifier, message, context, deadline_in(context, within));
        } else if (notifier.type == "outbox") {
            append(notifier, message + "\n");
        } else {
            throw Error{ErrorCode::invalid_file,
                        "'" + notifier.name + "' is a " + notifier.type + ", which tells nobody"};
        }
        return Json::object();
    }

  private:
    void post(const ResolvedResource& webhook, const std::string& message, const Context& context,
              SteadyTime deadline) const {
        HttpRequest request{.method = "POST",
                            .url = resolve_secret(webhook.fields.at("url"), world_.secrets),
                            .headers = {{"Content-Type", Secret("application/json")}},
                            .body = message,
                            .keep = Bytes{1024},
                            .deadline = deadline,
                            .stop = context.stop};
        if (const auto headers = webhook.fields.find("headers");
            headers != webhook.fields.end() && headers->is_object()) {
            for (const auto& [name, value] : headers->items())
                request.headers.push_back({name, resolve_secret(value, world_.secrets)});
        }
        const HttpResponse response = http_request(request);
        if (response.status >= 200 && response.status < 300) return;
        const bool denied = response.status == 401 || response.status == 403;
        const std::string said = printable(trim(response.body));
        throw Error{denied ? ErrorCode::denied : ErrorCode::protocol_failed,
                    "the notifier '" + webhook.name + "' answered " + std::to_string(response.status) +
                        (said.empty() ? "" : ": " + said)};
    }

    static void append(const ResolvedResource& outbox, const std::string& line) {
        const std::string path = outbox.fields.at("path").get<std::string>();
        const FileDescriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
        if (!file || ::write(file.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
            throw_errno("write '" + path + "'", errno);
        }
    }

    const ActionWorld& world_;
};

}  // namespace

ActionList notify_actions(const ActionWorld& world) {
    ActionList list;
    list.push_back(std::make_unique<NotifySend>(world));
    return list;
}

std::vector<ResourceSpec> notify_resources() {
    return {
        {
            .type = "webhook",
            .kinds = {"notifier"},
            .summary = "A URL that takes messages for people",
            .fields =
                {{.name = "url",
                  .type = ValueType::text,
                  .doc = "Where messages are posted to; http or https.",
                  .required = true,
                  .may_be_secret = true},
                 {.name = "headers", .type = ValueType::map, .doc = "Headers of each request.", .may_be_secret = true}},
            .example = "oncall: {type: webhook, url: \"${{ secrets.hook }}\"}\n",
        },
        {
            .type = "outbox",
            .kinds = {"notifier"},
            .summary = "A file that keeps messages, a line of JSON each",
            .fields = {{.name = "path",
                        .type = ValueType::path,
                        .doc = "The file; made when it is missing.",
                        .required = true}},
            .usable_in_sandbox = true,
            .example = "oncall: {type: outbox, path: /var/lib/lifeboat/messages.jsonl}\n",
        }};
}

}  // namespace lifeboat
