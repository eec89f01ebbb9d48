#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "host_process.h"

namespace pm::integration {

// Starts a program that dies with the thread that started it; its output is appended to `log`.
// 0: it could not be started.
pid_t spawn(const std::vector<std::string>& command, const Environment& environment,
            const std::filesystem::path& log, const std::filesystem::path& working_directory);

// Nothing: it still runs after `limit`. Must be a child of this process that was not waited for.
std::optional<Exit> wait_child(pid_t pid, std::chrono::milliseconds limit);

}  // namespace pm::integration
