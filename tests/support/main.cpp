#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>

// Asked by the leak checker, where there is one: Debian's libssh2 loses what it parsed at each key exchange.
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() {
    return "leak:libssh2.so\n";
}
