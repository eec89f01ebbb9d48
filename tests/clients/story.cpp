#include "story.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace pm::clients {

using integration::Fate;
using integration::Known;

namespace {

std::string hex(const std::string& bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (const char byte : bytes) {
    text += digits[static_cast<unsigned char>(byte) >> 4];
    text += digits[static_cast<unsigned char>(byte) & 15];
  }
  return text;
}

std::string bytes_of(const std::string& text) {
  std::string bytes;
  for (std::size_t at = 0; at + 1 < text.size(); at += 2) {
    bytes += static_cast<char>(std::stoi(text.substr(at, 2), nullptr, 16));
  }
  return bytes;
}

std::string answer_text(const Status& status) {
  if (status.ok()) return "OK";
  std::string text(code_name(status.code()));
  if (!status.reason().empty()) text += " " + status.reason();
  return text;
}

class Reader {
 public:
  explicit Reader(Story& story) : story_(story) {}

  void take(const std::string& line) {
    std::istringstream words(line);
    std::string what;
    words >> what;
    if (what == "lease") return take_lease(words);
    if (what == "posed") {
      story_.posed = true;
    } else if (what == "answer") {
      std::string name;
      words >> name >> std::ws;
      std::getline(words, story_.answers[name]);
    } else if (what == "complaint") {
      story_.complaints.push_back(line);
    } else if (what != "does") {
      take_payload(what, words);
    }
  }

 private:
  void take_lease(std::istringstream& words) {
    std::uint64_t ends_ns = 0;
    words >> ends_ns;
    ++story_.leases;
    story_.leases_end_ns = std::max(story_.leases_end_ns, ends_ns);
  }

  void take_payload(const std::string& what, std::istringstream& words) {
    std::string text;
    words >> text;
    const auto id = client::PayloadId::parse(text);
    if (!id.ok()) throw std::runtime_error("a client wrote: " + what + " " + text);
    Known& known = find(*id);
    if (what == "allocated") {
      words >> story_.allocated_at_ns;
    } else if (what == "commits") {
      words >> text;
      known.digest = bytes_of(text);
      known.fate = Fate::unknown;
    } else if (what == "committed") {
      std::uint32_t tier = 0;
      words >> known.version >> tier;
      known.tier = static_cast<client::Tier>(tier);
      known.fate = Fate::committed;
    } else {
      known.fate = what == "erases" ? Fate::unknown : Fate::deleted;
    }
  }

  Known& find(const client::PayloadId& id) {
    const auto found =
        std::find_if(story_.payloads.begin(), story_.payloads.end(),
                     [&](const Known& known) { return known.id == id; });
    if (found != story_.payloads.end()) return *found;
    story_.payloads.push_back({id, {}, 0, Fate::uncommitted});
    return story_.payloads.back();
  }

  Story& story_;
};

}  // namespace

std::uint64_t monotonic_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec);
}

StoryWriter::StoryWriter(const std::filesystem::path& file)
    : file_(::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) {
  if (file_ < 0) throw std::runtime_error("cannot open " + file.string());
}

StoryWriter::~StoryWriter() { ::close(file_); }

void StoryWriter::line(const std::string& words) const {
  const std::string text = words + "\n";
  if (::write(file_, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    throw std::runtime_error("cannot write the story");
  }
}

void StoryWriter::allocated(const client::Descriptor& descriptor) const {
  line("allocated " + descriptor.id.to_string() + " " + std::to_string(monotonic_ns()));
}

void StoryWriter::commits(const client::PayloadId& id, const integration::Digest& digest) const {
  line("commits " + id.to_string() + " " + hex(digest));
}

void StoryWriter::committed(const client::Descriptor& descriptor) const {
  line("committed " + descriptor.id.to_string() + " " + std::to_string(descriptor.version) + " " +
       std::to_string(static_cast<std::uint32_t>(descriptor.tier)));
}

void StoryWriter::erases(const client::PayloadId& id) const { line("erases " + id.to_string()); }

void StoryWriter::gone(const client::PayloadId& id) const { line("gone " + id.to_string()); }

void StoryWriter::leased(const client::Lease& lease) const {
  line("lease " + std::to_string(monotonic_ns() + lease.duration_ms * 1'000'000));
}

void StoryWriter::answered(const std::string& name, const Status& status) const {
  line("answer " + name + " " + answer_text(status));
}

void StoryWriter::posed() const { line("posed"); }

Story read_story(const std::filesystem::path& file) {
  Story story;
  Reader reader(story);
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);) {
    if (lines.eof()) break;  // Not whole.
    reader.take(line);
    story.last = line;
  }
  return story;
}

}  // namespace pm::clients
