// The narrow waist to wherever backups live: list, stat, read a range, write, remove. Decorators (retry, limit,
// measure) are stores over a store. A store may be used by several threads at once. Every error names the store and the
// key (`store_error`); its code is one of denied, not_found (the object), unreachable (the store itself), slow,
// corrupt, disk_full, archived, limit_exceeded, io_failed. Keys are relative paths with '/' between their parts, the
// same in every store: see key.h. Calls end with Error{cancelled | timed_out} soon after their control says so; what a
// caller's own sink or source throws reaches the caller unchanged.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/size.h"
#include "base/time.h"
#include "world/byte_stream.h"
#include "world/control.h"

namespace lifeboat {

// What a store can do, as far as callers have to differ.
struct StoreFeatures {
    bool writes = true;
    bool ranges = true;              // reads may begin inside an object at no extra cost
    bool validators = true;          // a read can be bound to one version of an object
    bool exclusive_writes = true;    // `WriteOptions::exclusive` holds against other writers too
    std::size_t parallel_reads = 1;  // so many ranges of one object are worth reading at once
};

struct StoredObject {
    std::string key;
    Bytes size;
    std::optional<Timestamp> modified;  // the store's own stamp: never the time of the data (R19)
    std::string validator;              // names this version of the object: an ETag; empty where the store has none
    // Of an object that a listing shows in cold storage: 'GLACIER', 'Archive'. It may have been thawed: cold_storage.h.
    std::string cold_class = {};
};

// One line of a listing: an object, or (in a listing of one level) everything below `key`, which then ends with '/'.
struct Listed {
    StoredObject object;
    bool folder = false;
};

struct ListQuery {
    std::string prefix;      // plain text, not a folder: "shop/2026" finds "shop/2026-…"
    bool one_level = false;  // what goes on behind the next '/' is folded into one line
};

// Called with each page, in the byte order of the keys; false ends the listing.
using ListedPage = std::function<bool(std::span<const Listed> page)>;

// What is written: can be opened again, at any offset, by retries and by parts that travel side by side.
struct Content {
    std::uint64_t size = 0;
    std::function<ByteSource(std::uint64_t offset)> open;
};

struct ReadRange {
    std::uint64_t offset = 0;
    std::optional<std::uint64_t> length;  // nullopt: to the end
    std::string validator;                // not empty: only this version of the object may be read
};

enum class ReadEnd {
    complete,  // every byte of the range has gone into the sink
    changed,   // the object is no longer the version asked for: whatever the sink took is worthless
};

struct WriteOptions {
    bool exclusive = false;  // throw Error{already_exists} rather than replace
    bool at_hand = false;    // has to be readable at once, always: never goes into a store's cold storage
};

class ColdStorage;

class Store {
  public:
    virtual ~Store() = default;

    virtual const std::string& name() const = 0;  // of the resource, for messages
    virtual StoreFeatures features() const = 0;

    virtual void list(const ListQuery& query, const ListedPage& page, const WorkControl& control) = 0;
    // nullopt when there is no such object.
    virtual std::optional<StoredObject> stat(const std::string& key, const WorkControl& control) = 0;
    // A range that begins behind the object's end, or an object shorter than offset + length, is Error{incomplete}.
    [[nodiscard]] virtual ReadEnd read(const std::string& key, const ReadRange& range, const ByteSink& sink,
                                       const WorkControl& control) = 0;
    // All or nothing, and durable when it returns: no reader ever sees a part of the object, a killed writer leaves
    // none.
    virtual StoredObject write(const std::string& key, const Content& content, const WriteOptions& options,
                               const WorkControl& control) = 0;
    // False when there was nothing.
    virtual bool remove(const std::string& key, const WorkControl& control) = 0;

    // Where objects can lie in cold storage (cold_storage.h): lives as long as the store. nullptr elsewhere.
    virtual ColdStorage* cold_storage() { return nullptr; }
};

// "object 'shop/x' in store 'nas': <why>", with details {store, key}; without a key it is about the store as a whole.
Error store_error(ErrorCode code, const std::string& store, const std::string& key, std::string_view why,
                  std::string hint = {});

// Objects small enough to be held: reading more than `limit` bytes is Error{limit_exceeded}.
std::string read_all(Store& store, const std::string& key, Bytes limit, const WorkControl& control);
Content content_of(std::string text);
// Opened anew for each source; the file must not change meanwhile. Throws Error{not_found | denied | io_failed}.
Content content_of_file(const std::string& path);

}  // namespace lifeboat
