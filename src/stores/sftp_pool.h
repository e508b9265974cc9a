// Connections to one SFTP server, kept for the next call. Several of them, not several channels of one, are what makes
// up for latency. Each is lent to one thread at a time; whoever already holds one gets another without waiting, so that
// a call made inside a sink or source of another cannot wait for itself. Thread-safe; outlives its leases.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "world/sftp_protocol.h"
#include "world/ssh.h"

namespace lifeboat {

class SftpPool {
  public:
    // `door` outlives this.
    SftpPool(SshDoor& door, const SftpTuning& tuning, std::size_t connections);

    class Lease {
      public:
        Lease(SftpPool& pool, std::unique_ptr<SftpClient> client);
        ~Lease();
        Lease(const Lease&) = delete;
        Lease& operator=(const Lease&) = delete;

        SftpClient& client() { return *client_; }

      private:
        SftpPool& pool_;
        std::unique_ptr<SftpClient> client_;
    };

    // Waits until a connection is free, or makes one. Throws Error{unreachable} when there is none within the target's
    // connect_timeout, and what SshDoor and SftpClient throw.
    Lease lend(const WorkControl& control);

  private:
    std::unique_ptr<SftpClient> connect(const WorkControl& control);
    void give_back(std::unique_ptr<SftpClient> client);

    SshDoor& door_;
    SftpTuning tuning_;
    std::size_t connections_;
    std::mutex mutex_;
    std::condition_variable_any changed_;
    std::vector<std::unique_ptr<SftpClient>> idle_;
    std::vector<std::thread::id> holders_;  // one for each that is lent or being made
};

}  // namespace lifeboat
