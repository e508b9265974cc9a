#include "stores/sftp_pool.h"

#include <algorithm>

namespace lifeboat {

SftpPool::SftpPool(SshDoor& door, const SftpTuning& tuning, std::size_t connections)
    : door_(door), tuning_(tuning), connections_(std::max<std::size_t>(connections, 1)) {}

SftpPool::Lease::Lease(SftpPool& pool, std::unique_ptr<SftpClient> client) : pool_(pool), client_(std::move(client)) {}

SftpPool::Lease::~Lease() {
    pool_.give_back(std::move(client_));
}

SftpPool::Lease SftpPool::lend(const WorkControl& control) {
    control.check();
    const auto self = std::this_thread::get_id();
    {
        std::unique_lock lock(mutex_);
        const auto free = [&] {
            return holders_.size() < connections_ ||
                   std::find(holders_.begin(), holders_.end(), self) != holders_.end();
        };
        if (control.deadline == SteadyTime::max()) {
            changed_.wait(lock, control.stop, free);
        } else {
            changed_.wait_until(lock, control.stop, control.deadline, free);
        }
        if (!free()) {
            lock.unlock();
            control.check();
            throw Error{ErrorCode::timed_out, "no connection to " + to_text(door_.target()) + " became free in time"};
        }
        holders_.push_back(self);
        if (!idle_.empty()) {
            std::unique_ptr<SftpClient> client = std::move(idle_.back());
            idle_.pop_back();
            return Lease(*this, std::move(client));
        }
    }
    try {
        return Lease(*this, connect(control));
    } catch (...) {
        give_back(nullptr);
        throw;
    }
}

std::unique_ptr<SftpClient> SftpPool::connect(const WorkControl& control) {
    const SteadyTime now = std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now());
    const Duration patience = door_.target().connect_timeout;
    WorkControl greeting = control;
    greeting.deadline = std::min(control.deadline, now + patience);
    try {
        return std::make_unique<SftpClient>(door_.open_sftp(greeting), tuning_, greeting);
    } catch (const Error& error) {
        const bool ours = error.code == ErrorCode::timed_out && greeting.deadline < control.deadline;
        if (!ours && error.code != ErrorCode::slow) throw;
        throw ssh_error(ErrorCode::unreachable, door_.target(), "unreachable",
                        "no SFTP server answered within " + to_human(patience));
    }
}

void SftpPool::give_back(std::unique_ptr<SftpClient> client) {
    const std::lock_guard lock(mutex_);
    if (client && client->reusable() && idle_.size() < connections_) idle_.push_back(std::move(client));
    const auto self = std::find(holders_.begin(), holders_.end(), std::this_thread::get_id());
    if (self != holders_.end()) holders_.erase(self);
    changed_.notify_all();
}

}  // namespace lifeboat
