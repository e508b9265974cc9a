// SFTP stores on a real sshd, over both transports, for the checks that every store must pass.
#pragma once

#include <vector>

#include "contract/stores_under_test.h"

namespace lifeboat::test {

std::vector<StoreUnderTest> sftp_stores();

}  // namespace lifeboat::test
