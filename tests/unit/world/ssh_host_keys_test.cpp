#include "world/ssh_host_keys.h"

#include <catch2/catch.hpp>

#include "world/ssh_program.h"

using namespace lifeboat;

namespace {

// Made for this test, thrown away since; fingerprints as ssh-keygen -l printed them.
const std::string ed25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEr/IN/Djk/JyoDfF5hnbxGz9G8Im0uBUuc8nt/GzLP8";
const std::string ed25519_print = "SHA256:o4C3x+LLjKVF/3zKFUjie9lalGpTvY8LtKr1a6KE6Ls";
const std::string ecdsa =
    "ecdsa-sha2-nistp256 "
    "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBKNDGAV97ufNiTlbuoONSALorLvZd1L90FHGFjT4FvN2GYVCJOunaiUWxBfzBE"
    "TTM8U4emUj+OENy4AqTtxBCwo=";
const std::string ecdsa_print = "SHA256:QzgNKVQ4b1EH0jlDBQEpxk9F9U5165ei6u8eUfpRDaY";

std::vector<std::string> found(const std::string& text, const std::string& host, int port) {
    std::vector<std::string> prints;
    for (const KnownHostKey& each : known_host_keys(text, host, port))
        prints.push_back(each.key.fingerprint);
    return prints;
}

using Prints = std::vector<std::string>;

}  // namespace

TEST_CASE("R31 the lines of known_hosts are found by name, port, pattern and hash") {
    CHECK(found("nas " + ed25519 + "\n", "nas", 22) == Prints{ed25519_print});
    CHECK(found("nas " + ed25519 + " a comment\r\n", "NAS", 0) == Prints{ed25519_print});
    CHECK(found("other,nas " + ed25519, "nas", 22) == Prints{ed25519_print});
    CHECK(found("[nas]:2222 " + ed25519 + "\n", "nas", 22).empty());
    CHECK(found("[nas]:2222 " + ed25519 + "\n", "nas", 2222) == Prints{ed25519_print});
    CHECK(found("[nas]:2222 " + ed25519 + "\nnas " + ecdsa, "nas", 2222) == Prints{ed25519_print});
    // without a port it stands for all of them, as OpenSSH has it
    CHECK(found("nas " + ecdsa, "nas", 2222) == Prints{ecdsa_print});
    CHECK(found("*.example.org,!bad.example.org " + ed25519, "good.example.org", 22) == Prints{ed25519_print});
    CHECK(found("*.example.org,!bad.example.org " + ed25519, "bad.example.org", 22).empty());
    CHECK(found("# nas " + ed25519 + "\n\n  \nnas\nnas ssh-ed25519\nnas ssh-ed25519 %%%\n", "nas", 22).empty());
    // a type that is not the key's own
    CHECK(found("nas ssh-rsa " + ed25519.substr(ed25519.find(' ') + 1), "nas", 22).empty());
    CHECK(found("|1|Bn63Dn7Mhm9kssCXvw0GXXDLdgY=|p2wdk+EzqZblE4pDhUKAmwYf1lc= " + ed25519, "nas", 22) ==
          Prints{ed25519_print});
    CHECK(found("|1|8ODcolU8HhP5xJQZ0gdRRmIIw1Q=|yo8zZ8/CWq8EjIZL5XDBetiZzIw= " + ed25519, "nas", 2222) ==
          Prints{ed25519_print});
    CHECK(found("|1|Bn63Dn7Mhm9kssCXvw0GXXDLdgY=|p2wdk+EzqZblE4pDhUKAmwYf1lc= " + ed25519, "other", 22).empty());
    const auto marked = known_host_keys("@revoked nas " + ed25519 + "\n@cert-authority nas " + ecdsa, "nas", 22);
    REQUIRE(marked.size() == 2);
    CHECK(marked[0].revoked);
    CHECK(marked[1].authority);
    CHECK(marked[1].line == 2);
}

TEST_CASE("R31 trusted, changed, of another type, revoked and unknown are five things") {
    const HostKey shown{.type = "ssh-ed25519", .fingerprint = ed25519_print};
    const KnownHostKey same{.key = shown, .line = 1};
    const KnownHostKey other_key{.key = {.type = "ssh-ed25519", .fingerprint = "SHA256:x"}, .line = 2};
    const KnownHostKey other_type{.key = {.type = "ssh-rsa", .fingerprint = "SHA256:y"}, .line = 3};
    KnownHostKey revoked = same;
    revoked.revoked = true;
    KnownHostKey authority = same;
    authority.authority = true;
    CHECK(judge_host_key({other_type, same}, shown) == HostKeyVerdict::trusted);
    CHECK(judge_host_key({other_key, same}, shown) == HostKeyVerdict::trusted);
    CHECK(judge_host_key({other_type, other_key}, shown) == HostKeyVerdict::changed);
    CHECK(judge_host_key({other_type}, shown) == HostKeyVerdict::other_type);
    CHECK(judge_host_key({}, shown) == HostKeyVerdict::unknown);
    CHECK(judge_host_key({authority}, shown) == HostKeyVerdict::unknown);
    CHECK(judge_host_key({same, revoked}, shown) == HostKeyVerdict::revoked);
}

TEST_CASE("R31 the errors of host keys name both fingerprints and what to do") {
    SshTarget target;
    target.host = "nas";
    target.port = 2222;
    target.known_hosts = "/etc/known";
    const HostKey shown{.type = "ssh-ed25519", .fingerprint = "SHA256:shown"};
    const std::vector<KnownHostKey> same_type{
        {.key = {.type = "ssh-ed25519", .fingerprint = "SHA256:known"}, .line = 3}};
    const std::vector<KnownHostKey> other_type{{.key = {.type = "ssh-rsa", .fingerprint = "SHA256:known"}, .line = 3}};
    const Error changed = host_key_error(target, HostKeyVerdict::changed, same_type, shown);
    CHECK(changed.code == ErrorCode::denied);
    CHECK(changed.message ==
          "host 'nas' port 2222: its host key is not the known one: it shows the ED25519 key SHA256:shown, known is "
          "ED25519 SHA256:known (line 3)");
    CHECK(changed.details ==
          Json{{"ssh", "host_key_changed"}, {"shown", "SHA256:shown"}, {"known", Json::array({"SHA256:known"})}});
    CHECK_FALSE(changed.hint.empty());
    CHECK(host_key_error(target, HostKeyVerdict::other_type, other_type, shown).message ==
          "host 'nas' port 2222: its host key is of a type that is not known: it shows the ED25519 key SHA256:shown, "
          "known is only RSA SHA256:known (line 3)");
    CHECK(host_key_error(target, HostKeyVerdict::unknown, {}, shown).message ==
          "host 'nas' port 2222: its host key is unknown: it shows the ED25519 key SHA256:shown, and '/etc/known' has "
          "no line for this host and port");
}

TEST_CASE("a fingerprint is taken as ssh-keygen prints it, and nothing else is") {
    CHECK(normal_fingerprint(" " + ed25519_print + "\n") == ed25519_print);
    CHECK(normal_fingerprint(ed25519_print + "=") == ed25519_print);
    for (const std::string& wrong : {std::string(), std::string("SHA256:"), std::string("SHA256:abc"),
                                     ed25519_print.substr(7), ed25519_print + "A", "MD5:" + ed25519_print.substr(7)})
        CHECK_THROWS_AS(normal_fingerprint(wrong), Error);
}

TEST_CASE("a target without a way to know the right host key, or with a name that is none, is refused") {
    SshTarget good;
    good.host = "nas";
    good.user = "dr";
    good.known_hosts = "/etc/known";
    CHECK_NOTHROW(SshDoor(good, SshTransport::library));
    const auto refused = [&](const std::function<void(SshTarget&)>& change) {
        SshTarget target = good;
        change(target);
        try {
            SshDoor(target, SshTransport::library);
        } catch (const Error& error) {
            return error.code == ErrorCode::refused;
        }
        return false;
    };
    CHECK(refused([](SshTarget& t) { t.known_hosts.clear(); }));
    CHECK(refused([](SshTarget& t) { t.host = "-oProxyCommand=x"; }));
    CHECK(refused([](SshTarget& t) { t.host = "a b"; }));
    CHECK(refused([](SshTarget& t) { t.host.clear(); }));
    CHECK(refused([](SshTarget& t) { t.user = "-x"; }));
    CHECK(refused([](SshTarget& t) { t.user.clear(); }));
    CHECK(refused([](SshTarget& t) { t.port = 70000; }));
    CHECK(refused([](SshTarget& t) { t.password = Secret("two\nlines"); }));
    CHECK(refused([](SshTarget& t) { t.fingerprints = {"SHA256:short"}; }));
    CHECK(refused([](SshTarget& t) { t.ssh_config = "/etc/ssh_config"; }));
}

TEST_CASE("a client's last words are understood") {
    CHECK(failure_in("@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.") ==
          SshFailure::host_key_changed);
    CHECK(failure_in("No ED25519 host key is known for [h]:2 and you have requested strict checking.") ==
          SshFailure::host_key_unknown);
    CHECK(failure_in("Unable to negotiate with ::1 port 2: no matching host key type found. Their offer: x") ==
          SshFailure::no_common_algorithm);
    CHECK(failure_in("dr@nas: Permission denied (publickey).") == SshFailure::authentication_failed);
    CHECK(failure_in("subsystem request failed on channel 0") == SshFailure::no_sftp);
    CHECK(failure_in("ssh: connect to host nas port 22: Connection refused") == SshFailure::unreachable);
    CHECK(failure_in("") == SshFailure::unreachable);
}
