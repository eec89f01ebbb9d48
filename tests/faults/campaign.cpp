#include "campaign.h"

#include <unistd.h>

#include <cstdio>

#include "count.h"

namespace pm::faults {

using integration::number_from;

Campaign::Campaign(std::string name, int count)
    : name_(std::move(name)),
      count_(static_cast<int>(number_from({"PM_FAULTS"}, count))),
      seed_(static_cast<unsigned>(number_from({"PM_SEED"}, ::getpid()))),
      random_(seed_) {
  std::printf("faults %s: PM_SEED=%u PM_FAULTS=%d\n", name_.c_str(), seed_, count_);
  std::fflush(stdout);
}

void Campaign::tell(int faults, const std::string& what) const {
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  std::printf("faults %s: %d faults, %s, seed %u, %.1f s\n", name_.c_str(), faults, what.c_str(),
              seed_, seconds);
  std::fflush(stdout);
}

}  // namespace pm::faults
