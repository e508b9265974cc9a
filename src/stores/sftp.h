// A folder of another machine as a store, over SFTP. Objects appear by rename from a synced temporary name in the same
// folder. On servers without OpenSSH's extensions less can be had: without posix-rename an object that is replaced is
// missing for a moment, without fsync it may not survive a power cut of the server.
//
// The validator is size and modification time, which the protocol gives in seconds: `write` dates a new version after
// the one that it replaces, but two versions of equal size that others make within one second, or with a removal in
// between, cannot be told apart. Symbolic links below the store's folder are no objects and are not followed.
// Temporary files of a writer that died are never listed and stay.
#pragma once

#include <memory>
#include <string>

#include "stores/store.h"
#include "world/sftp_protocol.h"
#include "world/ssh.h"

namespace lifeboat {

struct SftpOptions {
    SshTarget server;
    SshTransport transport = SshTransport::automatic;
    std::string path;             // of the store's folder; relative to the login's; empty: that one itself
    std::size_t connections = 4;  // at most at once: so many calls run side by side, others wait
    SftpTuning tuning;
};

class SftpStore final : public Store {
  public:
    // Does not connect. Throws as SshDoor does.
    SftpStore(std::string name, SftpOptions options);
    ~SftpStore() override;

    const std::string& name() const override { return name_; }
    StoreFeatures features() const override;
    void list(const ListQuery& query, const ListedPage& page, const WorkControl& control) override;
    std::optional<StoredObject> stat(const std::string& key, const WorkControl& control) override;
    ReadEnd read(const std::string& key, const ReadRange& range, const ByteSink& sink,
                 const WorkControl& control) override;
    StoredObject write(const std::string& key, const Content& content, const WriteOptions& options,
                       const WorkControl& control) override;
    bool remove(const std::string& key, const WorkControl& control) override;

    // Which transport it takes and why, for the person who set it up.
    const SshChoice& transport() const;

  private:
    class Session;

    std::string name_;
    std::unique_ptr<Session> session_;
};

}  // namespace lifeboat
