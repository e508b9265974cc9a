#include "base/diagnostic.h"

#include <catch2/catch.hpp>

using namespace lifeboat;

namespace {

SourceSpan span(int line, int column, int length = 1) {
    return {.at = {.line = line, .column = column}, .length = length};
}

}  // namespace

TEST_CASE("a diagnostic shows its line, the caret and a hint") {
    Diagnostics diagnostics("dr.yaml", "name: x\nsteps:\n  - datbase: shop\n");
    diagnostics.error(span(3, 5, 7), "steps[0].datbase", "unknown key 'datbase' (did you mean 'database'?)",
                      "Keys are listed in the reference.");
    CHECK(diagnostics.render() ==
          "dr.yaml:3:5: error: unknown key 'datbase' (did you mean 'database'?)\n"
          "    3 |   - datbase: shop\n"
          "      |     ^~~~~~~\n"
          "at: steps[0].datbase\n"
          "hint: Keys are listed in the reference.\n");
}

TEST_CASE("R30 all diagnostics are rendered in the order of their places, with a count") {
    Diagnostics diagnostics("a.yaml", "one\ntwo\nthree");
    diagnostics.error(span(3, 1, 5), "", "third");
    diagnostics.warning(span(1, 2), "", "first");
    diagnostics.error(span(0, 0), "", "the file has no name");
    CHECK(diagnostics.has_errors());
    CHECK(diagnostics.render() ==
          "a.yaml: error: the file has no name\n"
          "a.yaml:1:2: warning: first\n"
          "    1 | one\n"
          "      |  ^\n"
          "a.yaml:3:1: error: third\n"
          "    3 | three\n"
          "      | ^~~~~\n"
          "2 errors, 1 warning\n");
}

TEST_CASE("warnings alone are no errors") {
    Diagnostics diagnostics("a.yaml", "x");
    CHECK(diagnostics.render().empty());
    diagnostics.warning(span(0, 0), "", "old");
    CHECK_FALSE(diagnostics.has_errors());
    diagnostics.warning(span(0, 0), "", "older");
    CHECK(diagnostics.render() == "a.yaml: warning: old\na.yaml: warning: older\n2 warnings\n");
}

TEST_CASE("the caret stands below its character behind tabs and wide bytes") {
    Diagnostics diagnostics("a.yaml", "\tä: ü\t!x\r\n");
    diagnostics.error(span(1, 5, 1), "", "here");
    diagnostics.error(span(1, 7, 1), "", "there");
    CHECK(diagnostics.render() ==
          "a.yaml:1:5: error: here\n"
          "    1 |     ä: ü    !x\n"
          "      |        ^\n"
          "a.yaml:1:7: error: there\n"
          "    1 |     ä: ü    !x\n"
          "      |             ^\n"
          "2 errors\n");
}

TEST_CASE("the caret line never passes the end of the source line") {
    Diagnostics diagnostics("a.yaml", "abc\n");
    diagnostics.error(span(1, 2, 400), "", "long");
    diagnostics.error(span(1, 90, 3), "", "beyond");
    diagnostics.error(span(7, 1), "", "no such line");
    CHECK(diagnostics.render() ==
          "a.yaml:1:2: error: long\n"
          "    1 | abc\n"
          "      |  ^~\n"
          "a.yaml:1:90: error: beyond\n"
          "    1 | abc\n"
          "      |    ^\n"
          "a.yaml:7:1: error: no such line\n"
          "3 errors\n");
}

TEST_CASE("a very long line is cut around the caret") {
    Diagnostics diagnostics("a.yaml", std::string(5000, 'a') + "XYZ" + std::string(5000, 'b'));
    diagnostics.error(span(1, 5001, 3), "", "here");
    CHECK(diagnostics.render() == "a.yaml:1:5001: error: here\n    1 | …" + std::string(60, 'a') + "XYZ" +
                                      std::string(37, 'b') + "…\n      | " + std::string(61, ' ') + "^~~\n");
}

TEST_CASE("a long line is shown from its start or to its end where the caret is near them") {
    Diagnostics diagnostics("a.yaml", "X" + std::string(200, 'a') + "Y");
    diagnostics.error(span(1, 1, 500), "", "start");
    diagnostics.error(span(1, 202), "", "end");
    CHECK(diagnostics.render() == "a.yaml:1:1: error: start\n    1 | X" + std::string(99, 'a') + "…\n      | ^" +
                                      std::string(99, '~') + "\na.yaml:1:202: error: end\n    1 | …" +
                                      std::string(99, 'a') + "Y\n      | " + std::string(100, ' ') + "^\n2 errors\n");
}

TEST_CASE("what a file contains cannot drive the terminal") {
    Diagnostics diagnostics("a\x1b.yaml", "x\x1b[2Jy\xffz\n");
    diagnostics.error(span(1, 7), "p\x1b", "m\x1b", "h\x1b");
    CHECK(diagnostics.render() ==
          "a\\x1b.yaml:1:7: error: m\\x1b\n"
          "    1 | x\xef\xbf\xbd[2Jy\xef\xbf\xbdz\n"
          "      |       ^\n"
          "at: p\\x1b\n"
          "hint: h\\x1b\n");
}
