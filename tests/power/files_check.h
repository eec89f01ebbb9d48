#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "expectation.h"
#include "replay.h"

namespace pm::power {

// The quick look at what a cut left, without a host: the store is sound and has a row for each
// payload that must be there, and the tier has a sealed file with its bytes. Says what is wrong;
// empty: nothing. `scratch`: a folder for the store's files. Adds to `required` how many had to be
// there.
std::string check_files(const Tree& tree, const std::vector<ClientLog>& logs, std::uint64_t cut,
                        const std::filesystem::path& scratch, std::uint64_t& required);

}  // namespace pm::power
