#include "backup/thaw.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "stores/http_calls.h"
#include "world/files.h"

namespace lifeboat {

namespace {

class Wait {
  public:
    Wait(Store& store, ColdStorage& cold, const ThawOrder& order, const ThawWaiting& waiting, const BackupWork& work)
        : store_(store), cold_(cold), order_(order), waiting_(waiting), work_(work), control_(work.control) {
        control_.moved = {};
    }

    void to_the_end() {
        const std::size_t asked = ask();
        if (missing_.empty()) return;
        since_ = asked_since();
        const std::string objects = counted(missing_.size(), "archived object") + " of " + order_.what;
        work_.log(asked > 0 ? "asked store '" + store_.name() + "' for " + objects
                            : objects + " were asked for before, in store '" + store_.name() + "'");
        Duration distance = waiting_.first_look;
        while (!missing_.empty()) {
            pass(distance);
            distance = std::min(distance * 2, waiting_.longest_look);
            look();
        }
        remove_file(order_.asked_note);
        work_.log("store '" + store_.name() + "' has thawed " + order_.what + " after " +
                  to_human(elapsed(since_, waiting_.now())));
    }

  private:
    // How many had not been asked for yet.
    std::size_t ask() {
        std::size_t asked = 0;
        for (const std::string& key : order_.keys) {
            control_.check();
            const Thaw state = cold_.thaw_state(key, control_).state;
            if (state == Thaw::ready) continue;
            if (state == Thaw::frozen) {
                cold_.request_thaw(key, control_);
                ++asked;
            }
            missing_.push_back(key);
        }
        return asked;
    }

    Timestamp asked_since() const {
        try {
            if (const auto since = parse_timestamp(trim(read_small_file(order_.asked_note)))) return *since;
        } catch (const Error& error) {
            if (error.code != ErrorCode::not_found) throw;
        }
        const Timestamp now = waiting_.now();
        write_durably(order_.asked_note, to_text(now) + "\n");
        return now;
    }

    void pass(Duration distance) const {
        const std::string what = "waiting for " + counted(missing_.size(), "archived object") + " of " + order_.what +
                                 " in store '" + store_.name() + "'; asked at " + to_human(since_);
        while (distance > Duration::zero()) {
            work_.progress(what, std::nullopt, std::nullopt);
            const Duration part = std::min(distance, waiting_.sign_of_life);
            waiting_.pause(part, control_);
            distance -= part;
        }
    }

    // What was asked for together comes back together: a look ends at the first one that is not there.
    void look() {
        try {
            while (!missing_.empty()) {
                const Thaw state = cold_.thaw_state(missing_.back(), control_).state;
                if (state == Thaw::frozen) cold_.request_thaw(missing_.back(), control_);
                if (state != Thaw::ready) return;
                missing_.pop_back();
            }
        } catch (const Error& error) {
            control_.check();
            if (!info(error.code).transient || is_lasting(error)) throw;
            work_.log("whether " + order_.what + " has thawed could not be seen: " + error.message);
        }
    }

    Store& store_;
    ColdStorage& cold_;
    const ThawOrder& order_;
    const ThawWaiting& waiting_;
    const BackupWork& work_;
    WorkControl control_;
    std::vector<std::string> missing_;  // cannot be read yet, as far as we know
    Timestamp since_{};
};

}  // namespace

void thaw(Store& store, const ThawOrder& order, const ThawWaiting& waiting, const BackupWork& work) {
    ColdStorage* cold = store.cold_storage();
    if (cold == nullptr)
        throw store_error(ErrorCode::archived, store.name(), {},
                          order.what + " lies in cold storage, which cannot be asked for it");
    Wait(store, *cold, order, waiting, work).to_the_end();
}

}  // namespace lifeboat
