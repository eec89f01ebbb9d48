#include "subject.h"

#include <utility>

namespace pm::contract {

namespace {

thread_local std::string last_error;

const void* no_extension(const pm_host_t*, const char*) { return nullptr; }
void keep_error(const pm_host_t*, const char* message) { last_error = message; }
void ignore_log(const pm_host_t*, int32_t, const char*) {}

constexpr pm_host_t host = {PM_ABI_MAJOR, PM_ABI_MINOR, "repository-contract",
                            "1.0.0",      nullptr,      no_extension,
                            keep_error,   ignore_log};

}  // namespace

const pm_host_t* test_host() { return &host; }

std::string take_error() { return std::exchange(last_error, {}); }

}  // namespace pm::contract
