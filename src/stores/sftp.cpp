#include "stores/sftp.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <exception>
#include <random>

#include <unistd.h>

#include "base/text.h"
#include "stores/key.h"
#include "stores/left_behind.h"
#include "stores/sftp_pool.h"

namespace lifeboat {

namespace {

constexpr std::size_t page_size = 1000;
// A broken connection is made anew so many times in a row without a byte of progress.
constexpr int most_breaks = 3;
// For tidying up after a call that was stopped or is out of time.
constexpr Duration tidy_time = std::chrono::seconds(3);

std::string folder_of(std::string_view path) {
    const std::size_t slash = path.rfind('/');
    return std::string(slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash));
}

bool is_temporary(std::string_view name) {
    return name.starts_with(temporary_mark);
}

bool holds_temporary(std::string_view key) {
    return is_temporary(key) || key.find("/" + std::string(temporary_mark)) != std::string_view::npos;
}

std::string temporary_name() {
    static thread_local std::mt19937_64 random{std::random_device{}()};
    std::array<char, 17> digits{};
    std::snprintf(digits.data(), digits.size(), "%016llx", static_cast<unsigned long long>(random()));
    return std::string(temporary_mark) + std::to_string(::getpid()) + "-" + digits.data();
}

// "a/b/c" → "a", "a/b", "a/b/c"
std::vector<std::string> prefixes_of(std::string_view key) {
    std::vector<std::string> all;
    for (std::size_t slash = key.find('/'); slash != std::string_view::npos; slash = key.find('/', slash + 1))
        all.emplace_back(key.substr(0, slash));
    if (!key.empty()) all.emplace_back(key);
    return all;
}

// Servers that do not say what a thing is are believed to mean plain files.
bool is_object(const SftpAttributes& facts) {
    return facts.size && (!facts.permissions || facts.is_file());
}

StoredObject described(std::string key, const SftpAttributes& facts) {
    StoredObject object{.key = std::move(key), .size = Bytes{facts.size.value_or(0)}, .modified = {}, .validator = {}};
    if (facts.modified) {
        object.modified = Timestamp(std::chrono::seconds(*facts.modified));
        std::array<char, 48> text{};
        std::snprintf(text.data(), text.size(), "%llx-%lx", static_cast<unsigned long long>(object.size.count),
                      static_cast<unsigned long>(*facts.modified));
        object.validator = text.data();
    }
    return object;
}

// Ends a read before its first byte.
struct OtherVersion {};

// What a caller's own sink or source threw, on its way through the client.
struct CallersOwn {
    std::exception_ptr error;
};

template <typename Call>
auto of_caller(Call&& call) {
    try {
        return call();
    } catch (...) {
        throw CallersOwn{std::current_exception()};
    }
}

ErrorCode store_code(ErrorCode code) {
    if (code == ErrorCode::connection_lost || code == ErrorCode::unsupported) return ErrorCode::unreachable;
    return code == ErrorCode::protocol_failed ? ErrorCode::io_failed : code;
}

// Closes the file when it goes.
class OpenFile {
  public:
    OpenFile(SftpClient& client, std::string handle) : client_(client), handle_(std::move(handle)) {}
    OpenFile(SftpClient& client, const std::string& path, SftpOpen how, const WorkControl& control)
        : OpenFile(client, client.open(path, how, control)) {}
    ~OpenFile() {
        if (!handle_.empty()) client_.let_go(handle_);
    }
    OpenFile(const OpenFile&) = delete;
    OpenFile& operator=(const OpenFile&) = delete;

    const std::string& handle() const { return handle_; }
    // Waits: what could not be written is said here at the latest.
    void close(const WorkControl& control) {
        const std::string handle = std::exchange(handle_, {});
        client_.close(handle, control);
    }

  private:
    SftpClient& client_;
    std::string handle_;
};

}  // namespace

class SftpStore::Session {
  public:
    Session(const std::string& store, SftpOptions options)
        : store_(store),
          root_(std::move(options.path)),
          connections_(std::max<std::size_t>(options.connections, 1)),
          door_(std::move(options.server), options.transport),
          pool_(door_, options.tuning, connections_) {
        while (root_.size() > 1 && root_.ends_with('/'))
            root_.pop_back();
        if (root_.find('\0') != std::string::npos)
            throw store_error(ErrorCode::refused, store_, {}, "its path holds a NUL");
    }

    const SshChoice& choice() const { return door_.choice(); }
    std::size_t connections() const { return connections_; }

    std::string path_of(std::string_view key) const {
        if (key.empty()) return root_.empty() ? "." : root_;
        if (root_.empty()) return std::string(key);
        return root_ == "/" ? "/" + std::string(key) : root_ + "/" + std::string(key);
    }

    // Calls `work` with a connection, and again with a new one when that breaks. `breaks` counts that; the work sets it
    // back when it has come further.
    template <typename Work>
    auto with_client(const std::string& key, const WorkControl& control, int& breaks, Work&& work) {
        for (;;) {
            try {
                SftpPool::Lease lease = pool_.lend(control);
                return work(lease.client());
            } catch (const CallersOwn& own) {
                std::rethrow_exception(own.error);
            } catch (const Error& error) {
                if (error.code != ErrorCode::connection_lost || ++breaks >= most_breaks) throw translated(error, key);
            }
        }
    }
    template <typename Work>
    auto with_client(const std::string& key, const WorkControl& control, Work&& work) {
        int breaks = 0;
        return with_client(key, control, breaks, std::forward<Work>(work));
    }

    struct Opened {
        SftpAttributes facts;
        std::string handle;
    };
    // The object, looked at and opened at once: only for one that has been seen before. nullopt as of `look_up`.
    std::optional<Opened> open_known(SftpClient& client, const std::string& key, const WorkControl& control) const {
        auto found = client.look_and_open(paths_to(key), control);
        const auto facts = object_among(found.facts);
        if (facts && !found.refusal) return Opened{.facts = *facts, .handle = std::move(found.handle)};
        if (!found.handle.empty()) client.let_go(found.handle);
        if (facts && found.refusal->code != ErrorCode::not_found) throw *found.refusal;
        return std::nullopt;
    }

    // The object's facts; nullopt when it, or a folder above it, is not there or is something else.
    std::optional<SftpAttributes> look_up(SftpClient& client, const std::string& key,
                                          const WorkControl& control) const {
        return object_among(client.lstat(paths_to(key), control));
    }

    // The store's folder, and each part of the way to `key`.
    std::vector<std::string> paths_to(const std::string& key) const {
        std::vector<std::string> paths{path_of({})};
        for (const std::string& each : prefixes_of(key))
            paths.push_back(path_of(each));
        return paths;
    }

    // Of the facts about `paths_to` an object.
    std::optional<SftpAttributes> object_among(const std::vector<std::optional<SftpAttributes>>& found) const {
        require_root(found.front().has_value());
        for (std::size_t i = 1; i + 1 < found.size(); ++i) {
            if (!found[i] || !found[i]->is_folder()) return std::nullopt;
        }
        if (!found.back() || !is_object(*found.back())) return std::nullopt;
        return found.back();
    }

    void require_root(bool found) const {
        if (!found)
            throw store_error(ErrorCode::unreachable, store_, {},
                              "there is no folder '" + path_of({}) + "' on its server",
                              "Check the path and that what should be mounted there is.");
    }

    // Makes what is missing of the folders above `key`.
    void make_folders(SftpClient& client, const std::string& key, const WorkControl& control) const {
        std::vector<std::string> keys{""};
        for (const std::string& each : prefixes_of(folder_of(key)))
            keys.push_back(each);
        std::vector<std::string> paths;
        for (const std::string& each : keys)
            paths.push_back(path_of(each));
        const auto found = client.lstat(paths, control);
        for (std::size_t i = 0; i < paths.size(); ++i) {
            if (found[i]) {
                if (i > 0 && !found[i]->is_folder())
                    throw store_error(ErrorCode::refused, store_, key, "'" + keys[i] + "' is no folder",
                                      "Symbolic links inside a store are not followed.");
                continue;
            }
            try {
                client.make_folder(paths[i], control);
                sync_folder(client, i == 0 ? folder_of(paths[i]) : paths[i - 1], control);
            } catch (const Error& error) {
                if (i == 0 && error.code == ErrorCode::not_found) require_root(false);
                // status 4 is also the answer when another writer was faster
                if (error.code != ErrorCode::io_failed && error.code != ErrorCode::already_exists &&
                    error.code != ErrorCode::not_found)
                    throw;
            }
        }
    }

    // As far as the server can: that is beyond what the protocol has for folders.
    static void sync_folder(SftpClient& client, const std::string& path, const WorkControl& control) {
        if (!client.extensions().fsync || path.empty()) return;
        try {
            const OpenFile folder(client, path, SftpOpen::read, control);
            client.fsync(folder.handle(), control);
        } catch (const Error& error) {
            if (!error.details.contains("sftp_status")) throw;
        }
    }

    // Removes what writers that died left in the folder at `path`, by a time of the server; says whether there was
    // something.
    static bool sweep(SftpClient& client, const std::string& path, Timestamp now, const WorkControl& control) {
        bool removed = false;
        for (const SftpName& each : client.read_folder(path, control).value_or(std::vector<SftpName>())) {
            const auto& modified = each.attributes.modified;
            const auto then = modified ? std::optional(Timestamp(std::chrono::seconds(*modified))) : std::nullopt;
            if (!each.attributes.is_file() || !is_left_behind(each.name, then, now)) continue;
            try {
                client.remove(path + "/" + each.name, control);
                removed = true;
            } catch (const Error& error) {
                // another writer was faster
                if (!error.details.contains("sftp_status")) throw;
            }
        }
        return removed;
    }

    // What a file made now is stamped with.
    static std::optional<Timestamp> time_in(SftpClient& client, const std::string& folder, const WorkControl& control) {
        const std::string path = folder + "/" + temporary_name();
        std::optional<std::uint32_t> modified;
        {
            const OpenFile file(client, path, SftpOpen::create_exclusively, control);
            modified = client.fstat(file.handle(), control).modified;
        }
        client.remove(path, control);
        if (!modified) return std::nullopt;
        return Timestamp(std::chrono::seconds(*modified));
    }

    SweptFolders& swept() { return swept_; }

    // Gives the temporary file its name.
    void publish(SftpClient& client, const std::string& key, const std::string& from, bool exclusive,
                 const WorkControl& control) const {
        const std::string to = path_of(key);
        if (exclusive) {
            try {
                publish_new(client, from, to, control);
            } catch (const Error& error) {
                if (error.code == ErrorCode::connection_lost)
                    throw store_error(ErrorCode::unreachable, store_, key,
                                      "the connection broke while it was named: it may be there or not");
                if (!error.details.contains("sftp_status") || !client.lstat(to, control)) throw;
                throw store_error(ErrorCode::already_exists, store_, key, "it is already there");
            }
        } else if (client.extensions().posix_rename) {
            client.posix_rename(from, to, control);
        } else {
            replace(client, from, to, control);
        }
    }

    static void publish_new(SftpClient& client, const std::string& from, const std::string& to,
                            const WorkControl& control) {
        if (client.extensions().hardlink) {
            try {
                client.hard_link(from, to, control);
                client.remove(from, control);
                return;
            } catch (const Error& error) {
                // a file system without hard links: the plain rename refuses to replace as well
                if (!error.details.contains("sftp_status") || client.lstat(to, control)) throw;
            }
        }
        client.rename(from, to, control);
    }

    // Without posix-rename: the old object steps aside first, and back if the new one cannot take its place.
    static void replace(SftpClient& client, const std::string& from, const std::string& to,
                        const WorkControl& control) {
        try {
            client.rename(from, to, control);
            return;
        } catch (const Error& error) {
            if (!error.details.contains("sftp_status") || !client.lstat(to, control)) throw;
        }
        const std::string folder = folder_of(to);
        // not as a draft is named: it may be all that is left of the object, and it is as old as that
        const std::string aside =
            (folder.empty() ? "" : folder + "/") + std::string(temporary_mark) + "old-" + temporary_name();
        client.rename(to, aside, control);
        try {
            client.rename(from, to, control);
        } catch (const Error&) {
            client.rename(aside, to, control);
            throw;
        }
        client.remove(aside, control);
    }

    Error translated(const Error& error, const std::string& key) const {
        if (error.code == ErrorCode::cancelled || error.code == ErrorCode::timed_out || error.details.contains("store"))
            return error;
        // what is wrong with the connection is not about one object
        const std::string about = error.details.contains("ssh") ? std::string{} : key;
        Error named = store_error(store_code(error.code), store_, about, error.message, error.hint);
        if (error.details.is_object()) named.details.update(error.details);
        return named;
    }

  private:
    const std::string& store_;
    std::string root_;
    std::size_t connections_;
    SshDoor door_;
    SftpPool pool_;
    SweptFolders swept_;
};

SftpStore::SftpStore(std::string name, SftpOptions options)
    : name_(std::move(name)), session_(std::make_unique<Session>(name_, std::move(options))) {}

SftpStore::~SftpStore() = default;

StoreFeatures SftpStore::features() const {
    return StoreFeatures{.parallel_reads = session_->connections()};
}

const SshChoice& SftpStore::transport() const {
    return session_->choice();
}

namespace {

struct Named {
    std::string name;  // a folder's ends with '/', so that sorting names sorts the keys below them too
    SftpAttributes facts;
};

// Of the folder `path`, which is empty or ends with '/': what can be an object or a folder, in the order of the keys.
std::vector<Named> sorted_names(std::vector<SftpName> names, const std::string& path) {
    std::vector<Named> entries;
    for (SftpName& each : names) {
        const bool folder = each.attributes.is_folder();
        if (!folder && !is_object(each.attributes)) continue;
        if (is_temporary(each.name) || each.name.find('/') != std::string::npos) continue;
        if (!key_refusal(path + each.name).empty()) continue;
        entries.push_back({.name = std::move(each.name), .facts = each.attributes});
        if (folder) entries.back().name += '/';
    }
    std::sort(entries.begin(), entries.end(), [](const Named& a, const Named& b) { return a.name < b.name; });
    return entries;
}

class Pages {
  public:
    Pages(const ListedPage& page, const WorkControl& control) : page_(page), control_(control) {}

    // False when the caller has had enough.
    bool add(Listed listed) {
        pending_.push_back(std::move(listed));
        if (pending_.size() < page_size) return true;
        const bool more = page_(pending_);
        pending_.clear();
        control_.check();
        return more;
    }
    void flush() {
        if (!pending_.empty()) page_(pending_);
        pending_.clear();
    }

  private:
    const ListedPage& page_;
    const WorkControl& control_;
    std::vector<Listed> pending_;
};

}  // namespace

void SftpStore::list(const ListQuery& query, const ListedPage& page, const WorkControl& control) {
    const std::string_view prefix = query.prefix;
    Pages pages(page, control);
    const std::function<bool(const std::string&)> walk = [&](const std::string& path) {
        const std::string folder = path.empty() ? path : path.substr(0, path.size() - 1);
        auto names = session_->with_client(query.prefix, control, [&](SftpClient& client) {
            auto found = client.read_folder(session_->path_of(folder), control);
            if (!found) return found;
            for (SftpName& each : *found) {
                if (each.attributes.permissions) continue;
                const auto facts = client.lstat(session_->path_of(path + each.name), control);
                if (facts) each.attributes = *facts;
            }
            return found;
        });
        if (path.empty()) session_->require_root(names.has_value());
        // gone since its name was read
        if (!names) return true;
        for (Named& entry : sorted_names(std::move(*names), path)) {
            const std::string key = path + entry.name;
            const bool is_folder = key.ends_with('/');
            if (!key.starts_with(prefix)) {
                // a folder on the way to the prefix
                if (!is_folder || !prefix.starts_with(key)) continue;
            } else if (!is_folder) {
                if (!pages.add(Listed{.object = described(key, entry.facts)})) return false;
                continue;
            } else if (query.one_level && key.size() > prefix.size()) {
                if (!pages.add(Listed{.object = StoredObject{.key = key}, .folder = true})) return false;
                continue;
            }
            if (!walk(key)) return false;
        }
        return true;
    };
    if (walk({})) pages.flush();
}

std::optional<StoredObject> SftpStore::stat(const std::string& key, const WorkControl& control) {
    check_key(name_, key);
    if (holds_temporary(key)) return std::nullopt;
    return session_->with_client(key, control, [&](SftpClient& client) -> std::optional<StoredObject> {
        const auto facts = session_->look_up(client, key, control);
        if (!facts) return std::nullopt;
        return described(key, *facts);
    });
}

ReadEnd SftpStore::read(const std::string& key, const ReadRange& range, const ByteSink& sink,
                        const WorkControl& control) {
    check_key(name_, key);
    const auto missing = [&] { return store_error(ErrorCode::not_found, name_, key, "there is no such object"); };
    const auto too_short = [&] {
        return store_error(ErrorCode::incomplete, name_, key, "it ends before the range that was asked for");
    };
    if (holds_temporary(key)) throw missing();
    // A connection that breaks half way is followed by another, which must find the same version.
    std::string validator = range.validator;
    std::uint64_t at = range.offset;
    int breaks = 0;
    return session_->with_client(key, control, breaks, [&](SftpClient& client) {
        const bool bound = !validator.empty();
        std::optional<Session::Opened> found;
        if (bound) {
            found = session_->open_known(client, key, control);
        } else if (const auto facts = session_->look_up(client, key, control)) {
            // only now: opening a pipe would hang
            found = {.facts = *facts, .handle = client.open(session_->path_of(key), SftpOpen::read, control)};
        }
        if (!found) throw missing();
        const OpenFile file(client, found->handle);
        const StoredObject opened = described(key, bound ? found->facts : client.fstat(file.handle(), control));
        if (bound && validator != opened.validator) return ReadEnd::changed;
        validator = opened.validator;
        const std::uint64_t size = opened.size.count;
        if (range.offset > size || (range.length && *range.length > size - range.offset)) throw too_short();
        const std::uint64_t end = range.length ? range.offset + *range.length : size;
        // the name may have got another file since it was looked at
        const auto check = [&](const SftpAttributes& facts) {
            if (described(key, facts).validator != validator) throw OtherVersion{};
        };
        try {
            client.read(
                file.handle(), at, end - at,
                [&](std::span<const std::byte> bytes) {
                    of_caller([&] { sink(bytes); });
                    at += bytes.size();
                    breaks = 0;
                    control.advance(bytes.size());
                },
                control, bound ? std::function<void(const SftpAttributes&)>(check) : nullptr);
        } catch (const OtherVersion&) {
            return ReadEnd::changed;
        }
        if (bound && described(key, client.fstat(file.handle(), control)).validator != validator)
            return ReadEnd::changed;
        if (at != end) throw too_short();
        return ReadEnd::complete;
    });
}

StoredObject SftpStore::write(const std::string& key, const Content& content, const WriteOptions& options,
                              const WorkControl& control) {
    check_key(name_, key);
    if (holds_temporary(key))
        throw store_error(ErrorCode::refused, name_, key, "this key is refused: it is a temporary name");
    const std::string path = session_->path_of(key);
    const std::string folder = session_->path_of(folder_of(key));
    const std::string draft =
        session_->path_of((key.find('/') == std::string::npos ? "" : folder_of(key) + "/") + temporary_name());
    bool drafted = false;  // by an earlier connection too
    const auto tidy_up = [&](SftpClient& client) {
        const SteadyTime now = std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now());
        const WorkControl grace{.stop = {}, .deadline = now + tidy_time, .moved = {}};
        try {
            client.settle(grace);
            client.remove(draft, grace);
        } catch (const Error&) {
            // it is hidden by its name
        }
    };
    const auto sweep_once = [&](SftpClient& client, const std::string& place, Timestamp now, const WorkControl& how) {
        try {
            session_->sweep(client, place, now, how);
        } catch (const Error&) {
            // the object is written, whatever else lies there
        }
    };
    return session_->with_client(key, control, [&](SftpClient& client) {
        if (drafted) tidy_up(client);
        // Another writer's `remove` may take an empty folder away between its making and our first file in it.
        constexpr int tries = 20;
        std::optional<OpenFile> file;
        for (int attempt = 1; !file; ++attempt) {
            session_->make_folders(client, key, control);
            try {
                file.emplace(client, draft, SftpOpen::create_exclusively, control);
            } catch (const Error& error) {
                if (error.code != ErrorCode::not_found || attempt == tries) throw;
            }
        }
        drafted = true;
        try {
            const ByteSource source = of_caller([&] { return content.open(0); });
            const std::uint64_t written = client.write(
                file->handle(), [&](std::span<std::byte> into) { return of_caller([&] { return source(into); }); },
                control);
            if (written != content.size)
                throw store_error(ErrorCode::incomplete, name_, key,
                                  "what was written has " + std::to_string(written) + " bytes instead of " +
                                      std::to_string(content.size));
            if (client.extensions().fsync) client.fsync(file->handle(), control);
            SftpAttributes facts = client.fstat(file->handle(), control);
            const std::uint32_t now = facts.modified.value_or(0);  // there; 0: not said
            const auto old = client.lstat(path, control);
            // two versions never have the same second: it is all that tells them apart
            if (old && facts.modified && old->modified && *facts.modified <= *old->modified) {
                facts.modified = *old->modified + 1;
                client.set_modified(file->handle(), *facts.modified, control);
            }
            file->close(control);
            control.check();
            session_->publish(client, key, draft, options.exclusive, control);
            session_->sync_folder(client, folder, control);
            if (now > 0 && session_->swept().add(folder))
                sweep_once(client, folder, Timestamp(std::chrono::seconds(now)), control);
            return described(key, facts);
        } catch (const Error& error) {
            if (error.code == ErrorCode::connection_lost) throw;
            file.reset();
            tidy_up(client);
            constexpr std::uint64_t full = 1u << 20;
            if (error.code == ErrorCode::io_failed && client.reusable() && client.extensions().statvfs &&
                client.space_at(folder, control).free < std::max(full, content.size))
                throw store_error(ErrorCode::disk_full, name_, key, "the server's disk is full: " + error.message);
            throw;
        } catch (const CallersOwn&) {
            file.reset();
            tidy_up(client);
            throw;
        }
    });
}

bool SftpStore::remove(const std::string& key, const WorkControl& control) {
    check_key(name_, key);
    if (holds_temporary(key)) return false;
    // A folder in which nothing is left but what writers that died left in it.
    const auto remove_swept = [&](SftpClient& client, const std::string& path) {
        try {
            const auto names = client.read_folder(path, control);
            if (!names || !std::all_of(names->begin(), names->end(),
                                       [](const SftpName& each) { return is_temporary(each.name); }))
                return false;
            const auto now = session_->time_in(client, path, control);
            if (!now || !session_->sweep(client, path, *now, control)) return false;
            client.remove_folder(path, control);
            return true;
        } catch (const Error& error) {
            if (!error.details.contains("sftp_status")) throw;
            return false;
        }
    };
    bool asked = false;
    return session_->with_client(key, control, [&](SftpClient& client) {
        // asked for over a connection that broke: whoever finds nothing now has done it
        if (!session_->look_up(client, key, control)) return asked;
        asked = true;
        try {
            client.remove(session_->path_of(key), control);
        } catch (const Error& error) {
            if (error.code == ErrorCode::not_found) return false;
            throw;
        }
        session_->sync_folder(client, session_->path_of(folder_of(key)), control);
        // Folders exist only for the objects in them: those that are empty now go too.
        for (std::string above = folder_of(key); !above.empty(); above = folder_of(above)) {
            const std::string path = session_->path_of(above);
            try {
                client.remove_folder(path, control);
            } catch (const Error& error) {
                if (!error.details.contains("sftp_status")) throw;
                if (!remove_swept(client, path)) break;
            }
        }
        return true;
    });
}

}  // namespace lifeboat
