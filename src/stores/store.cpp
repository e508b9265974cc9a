#include "stores/store.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"

namespace lifeboat {

Error store_error(ErrorCode code, const std::string& store, const std::string& key, std::string_view why,
                  std::string hint) {
    std::string message = key.empty() ? "store '" + store + "': " : "object '" + key + "' in store '" + store + "': ";
    message += why;
    Error error{code, std::move(message), std::move(hint)};
    error.details = Json{{"store", store}};
    if (!key.empty()) error.details["key"] = key;
    return error;
}

std::string read_all(Store& store, const std::string& key, Bytes limit, const WorkControl& control) {
    std::string text;
    const ReadEnd end = store.read(
        key, ReadRange{},
        [&](std::span<const std::byte> bytes) {
            if (text.size() + bytes.size() > limit.count)
                throw store_error(ErrorCode::limit_exceeded, store.name(), key, "it is larger than " + to_human(limit));
            text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        },
        control);
    if (end == ReadEnd::changed) throw store_error(ErrorCode::moved, store.name(), key, "it changed while it was read");
    return text;
}

Content content_of(std::string text) {
    const auto shared = std::make_shared<const std::string>(std::move(text));
    return Content{.size = shared->size(), .open = [shared](std::uint64_t offset) -> ByteSource {
                       return [shared, offset](std::span<std::byte> into) mutable -> std::size_t {
                           if (offset >= shared->size()) return 0;
                           const std::size_t count = std::min<std::size_t>(into.size(), shared->size() - offset);
                           std::memcpy(into.data(), shared->data() + offset, count);
                           offset += count;
                           return count;
                       };
                   }};
}

Content content_of_file(const std::string& path) {
    struct stat facts {};
    if (::stat(path.c_str(), &facts) != 0) throw_errno("look at '" + path + "'", errno);
    return Content{.size = static_cast<std::uint64_t>(facts.st_size),
                   .open = [path](std::uint64_t offset) -> ByteSource {
                       const int opened = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
                       if (opened < 0) throw_errno("open '" + path + "'", errno);
                       const std::shared_ptr<const int> file(new int(opened), [](const int* held) {
                           ::close(*held);
                           delete held;
                       });
                       return [file, path, offset](std::span<std::byte> into) mutable -> std::size_t {
                           ssize_t count = 0;
                           do {
                               count = ::pread(*file, into.data(), into.size(), static_cast<off_t>(offset));
                           } while (count < 0 && errno == EINTR);
                           if (count < 0) throw_errno("read '" + path + "'", errno);
                           offset += static_cast<std::uint64_t>(count);
                           return static_cast<std::size_t>(count);
                       };
                   }};
}

}  // namespace lifeboat
