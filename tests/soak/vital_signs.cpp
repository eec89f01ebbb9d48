#include "vital_signs.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <regex>

namespace pm::soak {

namespace fs = std::filesystem;

namespace {

constexpr double mib = 1 << 20;
constexpr double slope_bytes_per_s_max = mib / 3'600;
// An allocator gives and takes that much all the time; less than that cannot be told from nothing.
constexpr double short_resolution_bytes = 8 * mib;
constexpr double long_resolution_bytes = mib / 2;
constexpr double long_life_s = 1'200;

std::uint64_t count_entries(const fs::path& folder) {
  std::error_code error;
  std::uint64_t count = 0;
  for (auto entry = fs::directory_iterator(folder, error);
       !error && entry != fs::directory_iterator(); entry.increment(error)) {
    ++count;
  }
  return count;
}

// A disk tier names a file ROOT/ab/cd/UUID.GENERATION: no other file of a host lies so deep.
void count_descriptors(const fs::path& folder, Sample& sample) {
  static const std::regex payload_file("/[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f-]{36}[.]");
  std::error_code error;
  for (auto entry = fs::directory_iterator(folder, error);
       !error && entry != fs::directory_iterator(); entry.increment(error)) {
    std::error_code closed;
    const std::string name = fs::read_symlink(entry->path(), closed).string();
    ++(std::regex_search(name, payload_file) ? sample.file_descriptors : sample.descriptors);
  }
}

std::string text(const char* format, double a, double b) {
  char words[160];
  std::snprintf(words, sizeof words, format, a, b);
  return words;
}

// The lowest of the first and of the last half: what comes and goes is not in it.
void compare(const std::vector<Sample>& samples, std::uint64_t Sample::*what, const char* name,
             std::uint64_t allowed, std::vector<std::string>& growth) {
  const auto middle = samples.begin() + static_cast<std::ptrdiff_t>(samples.size() / 2);
  const auto less = [what](const Sample& a, const Sample& b) { return a.*what < b.*what; };
  const std::uint64_t before = (*std::min_element(samples.begin(), middle, less)).*what;
  const std::uint64_t after = (*std::min_element(middle, samples.end(), less)).*what;
  if (after <= before + allowed) return;
  growth.push_back(std::string(name) + text(" grow from %.0f to %.0f", static_cast<double>(before),
                                            static_cast<double>(after)));
}

}  // namespace

Sample take_sample(pid_t pid, double at_s) {
  const fs::path process = "/proc/" + std::to_string(pid);
  Sample sample;
  sample.at_s = at_s;
  std::ifstream status(process / "status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmRSS:", 0) == 0) sample.resident_bytes = std::stoull(line.substr(6)) * 1024;
    // Pages of slabs and segments are nobody's leak.
    if (line.rfind("RssShmem:", 0) == 0)
      sample.resident_bytes -= std::stoull(line.substr(9)) * 1024;
  }
  count_descriptors(process / "fd", sample);
  sample.threads = count_entries(process / "task");
  std::ifstream maps(process / "maps");
  for (std::string line; std::getline(maps, line);) ++sample.maps;
  return sample;
}

Slope slope_of(const std::vector<Sample>& samples) {
  Slope slope;
  const auto count = static_cast<double>(samples.size());
  if (samples.size() < 3) return slope;
  double mean_t = 0;
  double mean_y = 0;
  for (const Sample& sample : samples) {
    mean_t += sample.at_s / count;
    mean_y += static_cast<double>(sample.resident_bytes) / count;
  }
  double tt = 0;
  double ty = 0;
  for (const Sample& sample : samples) {
    const double t = sample.at_s - mean_t;
    tt += t * t;
    ty += t * (static_cast<double>(sample.resident_bytes) - mean_y);
  }
  if (tt == 0) return slope;
  slope.bytes_per_s = ty / tt;
  double rest = 0;
  for (const Sample& sample : samples) {
    const double wanted = mean_y + slope.bytes_per_s * (sample.at_s - mean_t);
    rest += std::pow(static_cast<double>(sample.resident_bytes) - wanted, 2);
  }
  slope.error_bytes_per_s = std::sqrt(rest / (count - 2) / tt);
  slope.span_s = samples.back().at_s - samples.front().at_s;
  return slope;
}

std::vector<Sample> warm_part(const std::vector<Sample>& samples) {
  if (samples.empty()) return {};
  const double from_s = std::max(2.0, samples.back().at_s / 4);
  std::vector<Sample> warm;
  std::copy_if(samples.begin(), samples.end(), std::back_inserter(warm),
               [&](const Sample& sample) { return sample.at_s >= from_s; });
  return warm;
}

std::vector<std::string> growth_of_memory(const std::vector<Sample>& samples) {
  constexpr std::size_t samples_min = 6;
  const std::vector<Sample> warm = warm_part(samples);
  if (warm.size() < samples_min) return {};
  const Slope slope = slope_of(warm);
  const double resolution =
      slope.span_s < long_life_s ? short_resolution_bytes : long_resolution_bytes;
  const double growth = slope.bytes_per_s * slope.span_s;
  const double surely = slope.bytes_per_s - 2 * slope.error_bytes_per_s;
  if (surely <= slope_bytes_per_s_max || growth <= resolution) return {};
  return {text("resident memory grows by %.1f MiB in %.0f s", growth / mib, slope.span_s)};
}

std::vector<std::string> growth_of_counts(const std::vector<Sample>& samples) {
  std::vector<std::string> growth;
  if (samples.size() < 2) return growth;
  compare(samples, &Sample::descriptors, "descriptors", 8, growth);
  // Two tiers that keep 32 files open, each twice (plugins/tier-disk/file.h).
  constexpr std::uint64_t kept_max = 2 * 32 * 2;
  const std::uint64_t kept = samples.back().file_descriptors;
  if (kept > kept_max) {
    growth.push_back(text("%.0f descriptors of payloads' files are open, at most %.0f may be",
                          static_cast<double>(kept), static_cast<double>(kept_max)));
  }
  compare(samples, &Sample::threads, "threads", 8, growth);
  compare(samples, &Sample::maps, "maps", 64, growth);
  return growth;
}

}  // namespace pm::soak
