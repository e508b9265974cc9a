#include "backup/layer_bases.h"

#include <algorithm>

#include "backup/arrival.h"
#include "backup/layout.h"
#include "base/error.h"
#include "world/files.h"
#include "world/tree.h"

namespace lifeboat {

namespace {

constexpr Bytes index_limit{std::uint64_t{4} << 30};

class Search {
  public:
    Search(const BaseRequest& request, const BackupWork& work) : request_(request), work_(work) {
        control_ = work.control;
        control_.moved = {};
    }

    LayerBases newest() {
        const Catalogue catalogue = read_catalogue(request_.set, request_.stores, control_, request_.trusted);
        if (!catalogue.troubles.empty()) {
            work_.log("everything is stored anew: " + catalogue.troubles.front().error.message);
            return {};
        }
        // newest first
        for (const CatalogueEntry& entry : catalogue.entries) {
            if (!entry.manifest || !is_layered(*entry.manifest)) continue;
            if (!request_.trusted.empty() && entry.signature.state != SignatureState::good)
                return store_all(entry.id, Error{ErrorCode::refused, "its copy in store '" + entry.store + "' is " +
                                                                         to_words(entry.signature)});
            // older ones may share what is damaged with it
            if (entry.verified.damaged)
                return store_all(
                    entry.id, Error{ErrorCode::corrupt, "its copy in store '" + entry.store + "' was found damaged"});
            if (!is_everywhere(entry, catalogue)) continue;
            try {
                require_usable(*entry.manifest);
                return read(*entry.manifest);
            } catch (const SourceTrouble& trouble) {
                return store_all(entry.id, trouble.error);
            } catch (const Error& error) {
                if (!is_about_the_source(error.code)) throw;
                return store_all(entry.id, error);
            }
        }
        return {};
    }

  private:
    static bool is_layered(const Manifest& manifest) {
        return std::any_of(manifest.components.begin(), manifest.components.end(),
                           [](const ManifestComponent& component) { return component.format == layers_format; });
    }

    // The same backup, with nothing said against it, in each of the stores.
    bool is_everywhere(const CatalogueEntry& entry, const Catalogue& catalogue) const {
        const auto copies =
            std::count_if(catalogue.entries.begin(), catalogue.entries.end(), [&](const CatalogueEntry& other) {
                return other.id == entry.id && other.manifest_sha256 == entry.manifest_sha256 &&
                       !other.verified.damaged;
            });
        return static_cast<std::size_t>(copies) == request_.stores.size();
    }

    LayerBases store_all(const std::string& id, const Error& error) const {
        work_.log("nothing is built on backup '" + id + "', everything is stored anew: " + error.message);
        return {};
    }

    void require_usable(const Manifest& manifest) const {
        const auto refuse = [](const std::string& why) { return Error{ErrorCode::refused, why}; };
        if (request_.encrypted != manifest.encrypted())
            throw refuse(request_.encrypted ? "it is not encrypted" : "it is encrypted");
        for (const ManifestComponent& component : manifest.components) {
            if (component.format != layers_format) continue;
            for (const ManifestObject& object : component.objects) {
                const std::string& made_by = object.from.empty() ? manifest.id : object.from;
                const auto made_at = time_of_backup_id(made_by);
                if (!made_at || *made_at <= request_.not_before)
                    throw refuse("its layer of '" + component.name + "' from backup '" + made_by + "' is too old");
                for (const auto& store : request_.stores)
                    require_there(*store, stored_key(manifest, object), object);
            }
        }
    }

    void require_there(Store& store, const std::string& key, const ManifestObject& object) const {
        const auto there = store.stat(key, control_);
        if (!there || there->size != object.size)
            throw store_error(ErrorCode::incomplete, store.name(), key,
                              there ? "it has another size" : "it is missing");
    }

    LayerBases read(const Manifest& manifest) const {
        LayerBases bases{.backup = manifest.id, .components = {}};
        ByteProgress progress(work_, "reading what backup '" + manifest.id + "' holds", std::nullopt);
        const std::filesystem::path place = request_.folder / "base";
        make_directories(place);
        for (const ManifestComponent& component : manifest.components) {
            if (component.format != layers_format) continue;
            const ManifestObject& index = index_object(component);
            const std::filesystem::path file = place / index.key;
            fetch_object(*request_.stores.front(), stored_key(manifest, index), index, request_.keys, file,
                         place / "part", progress, control_);
            bases.components[component.name] =
                LayerBase{.backup = manifest.id,
                          .component = component,
                          .index = parse_index(read_small_file(file, index_limit), "index '" + index.key + "'")};
        }
        remove_tree(place);
        return bases;
    }

    const BaseRequest& request_;
    const BackupWork& work_;
    WorkControl control_;
};

}  // namespace

LayerBases newest_layers(const BaseRequest& request, const BackupWork& work) {
    return Search(request, work).newest();
}

}  // namespace lifeboat
