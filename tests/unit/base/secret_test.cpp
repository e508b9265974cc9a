#include "base/secret.h"

#include <catch2/catch.hpp>

#include "base/error.h"

using namespace lifeboat;

namespace {

class Vault final : public SecretSource {
  public:
    explicit Vault(std::map<std::string, std::string> secrets) : secrets_(std::move(secrets)) {}
    Secret fetch(const std::string& name) override {
        const auto found = secrets_.find(name);
        if (found == secrets_.end()) throw Error{ErrorCode::secret_missing, "no secret '" + name + "'"};
        return Secret{found->second};
    }

  private:
    std::map<std::string, std::string> secrets_;
};

Json json(const char* text) {
    return parse_json(text, "test");
}

std::string redacted(const std::string& secret, std::string_view text) {
    Redactor redactor;
    redactor.add("pw", Secret{secret});
    return redactor.redact(text);
}

}  // namespace

TEST_CASE("references and secret text are told from other values") {
    CHECK(is_secret(json(R"({"secret": "pw"})")));
    CHECK(is_secret(json(R"({"secret": ["https://x/", {"secret": "token"}]})")));
    CHECK_FALSE(is_secret(json(R"("pw")")));
    CHECK_FALSE(is_secret(json(R"({"secret": "pw", "x": 1})")));
    CHECK_FALSE(is_secret(json(R"({"secret": 3})")));
    CHECK_FALSE(is_secret(json(R"({"secret": ["a", 3]})")));
    CHECK_FALSE(is_secret(json("null")));
}

TEST_CASE("the secrets that a value refers to are found at any depth") {
    const Json value =
        json(R"({"a": [{"secret": "one"}, {"b": {"secret": ["x", {"secret": "two"}, {"secret": "one"}]}}]})");
    CHECK(secrets_in(value) == std::vector<std::string>{"one", "two"});
    CHECK(secrets_in(json(R"({"a": "secret"})")).empty());
}

TEST_CASE("a reference, secret text or plain text resolves to its secret") {
    Vault vault({{"token", "t0ken"}, {"pw", "hunter2"}});
    CHECK(resolve_secret(json(R"("plain")"), vault).reveal() == "plain");
    CHECK(resolve_secret(json(R"({"secret": "pw"})"), vault).reveal() == "hunter2");
    CHECK(resolve_secret(json(R"({"secret": ["a/", {"secret": "token"}, "?", {"secret": "pw"}]})"), vault).reveal() ==
          "a/t0ken?hunter2");
}

TEST_CASE("what cannot be resolved is an error") {
    Vault vault({});
    const auto code = [&vault](const char* text) {
        try {
            resolve_secret(json(text), vault);
        } catch (const Error& error) {
            return error.code;
        }
        return ErrorCode::usage;
    };
    CHECK(code(R"({"secret": "absent"})") == ErrorCode::secret_missing);
    CHECK(code("12") == ErrorCode::internal);
    CHECK(code(R"({"x": "y"})") == ErrorCode::internal);
}

TEST_CASE("R11 every spelling of a secret is redacted") {
    const std::string secret = "p@ss \"w\\rd\"/ä";
    CHECK(redacted(secret, "got p@ss \"w\\rd\"/ä!") == "got ***pw***!");
    CHECK(redacted(secret, R"({"a":"p@ss \"w\\rd\"/ä"})") == R"({"a":"***pw***"})");
    CHECK(redacted(secret, R"(p@ss \"w\\rd\"/\u00e4)") == "***pw***");
    CHECK(redacted(secret, "?p=p%40ss%20%22w%5Crd%22%2F%C3%A4&x") == "?p=***pw***&x");
    CHECK(redacted(secret, "?p=p%40ss%20%22w%5crd%22%2f%c3%a4&x") == "?p=***pw***&x");
    CHECK(redacted(secret, "?p=p%40ss+%22w%5Crd%22%2F%C3%A4&x") == "?p=***pw***&x");
    CHECK(redacted(secret, "b64 cEBzcyAid1xyZCIvw6Q= end") == "b64 ***pw*** end");
}

TEST_CASE("R11 a secret inside something encoded is redacted at every alignment") {
    // base64 of "u:", "us:" and "usr:" followed by the secret and "\n"
    CHECK(redacted("correct horse", "Basic dTpjb3JyZWN0IGhvcnNlCg==").find("JyZWN0IGhvcnN") == std::string::npos);
    CHECK(redacted("correct horse", "Basic dXM6Y29ycmVjdCBob3JzZQo=").find("29ycmVjdCBob3Jz") == std::string::npos);
    CHECK(redacted("correct horse", "Basic dXNyOmNvcnJlY3QgaG9yc2UK").find("NvcnJlY3QgaG9yc2") == std::string::npos);
}

TEST_CASE("R11 each line of a secret of several lines is redacted by itself") {
    const std::string key = "-----BEGIN KEY-----\r\nAAAAB3NzaC1yc2E\r\nxy\r\n";
    CHECK(redacted(key, "line: AAAAB3NzaC1yc2E.") == "line: ***pw***.");
    CHECK(redacted(key, key) == "***pw***");
    CHECK(redacted(key, "xy") == "xy");
}

TEST_CASE("secrets that are too short to be told from data are not redacted") {
    CHECK(redacted("abc", "abc abc") == "abc abc");
    CHECK(redacted("äöü", "äöü") == "äöü");
    CHECK(redacted("abcd", "abcd") == "***pw***");
}

TEST_CASE("the longest form wins, and overlapping secrets leave no rest") {
    Redactor redactor;
    redactor.add("short", Secret{"secret"});
    redactor.add("long", Secret{"secret-and-more"});
    redactor.add("tail", Secret{"moreover"});
    CHECK(redactor.redact("a secret, a secret-and-more.") == "a ***short***, a ***long***.");
    CHECK(redactor.redact("secret-and-moreover!") == "***long***!");
    CHECK(redactor.redact("secretsecret") == "***short******short***");
    CHECK(redactor.redact("secre") == "secre");
    CHECK(redactor.redact("") == "");
    CHECK(Redactor().redact("secret") == "secret");
}

TEST_CASE("R11 a structured value that holds a long secret is exposed by its name") {
    Redactor redactor;
    redactor.add("short", Secret{"fifteen chars.."});
    redactor.add("long", Secret{"sixteen chars..."});
    CHECK_FALSE(redactor.exposed_in(json(R"({"a": ["fifteen chars.."]})")).has_value());
    CHECK(redactor.exposed_in(json(R"({"a": [1, {"b": "x sixteen chars... y"}]})")) == "long");
    CHECK(redactor.exposed_in(json(R"([{"sixteen chars...": 1}])")) == "long");
    CHECK(redactor.exposed_in(json(R"("sixteen chars...")")) == "long");
    CHECK_FALSE(redactor.exposed_in(json(R"({"a": {"secret": "long"}})")).has_value());
}

TEST_CASE("a large text without secrets is returned as it is") {
    Redactor redactor;
    for (int i = 0; i < 50; ++i)
        redactor.add("s" + std::to_string(i), Secret{"secret number " + std::to_string(i)});
    std::string text;
    for (int i = 0; i < 100'000; ++i)
        text += "an ordinary line of a log\n";
    CHECK(redactor.redact(text) == text);
    CHECK(redactor.redact(text + "secret number 7") == text + "***s7***");
}
