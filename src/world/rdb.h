// The frame of Redis' snapshot files: what stands at the beginning (magic, version, auxiliary fields) and how it ends.
// What lies between is left to Redis' own programs. Format: "REDIS" and four digits; then operations of one byte, of
// which 0xFA is an auxiliary field (two strings) and 0xFF the end, followed by eight bytes of CRC-64 since version 5.
#pragma once

#include <filesystem>
#include <map>
#include <string>

namespace lifeboat {

struct RdbHeader {
    int version = 0;                            // 10 for Redis 7.0
    std::map<std::string, std::string> fields;  // redis-ver, redis-bits, ctime, used-mem, aof-base, …
};

// Throws Error{corrupt} for what is no snapshot, Error{incomplete} for one that ends early.
RdbHeader read_rdb_frame(const std::filesystem::path& path);

}  // namespace lifeboat
