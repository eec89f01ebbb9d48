// What a person at a terminal sees and does during a transfer: the progress line, and ^C.

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <utility>

#include "transfer.h"

namespace pm::ctl {
namespace {

volatile std::sig_atomic_t noted_signal = 0;

extern "C" void note_signal(int number) { noted_signal = number; }

std::int64_t now_ms() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
}

constexpr std::int64_t redraw_ms = 100;

}  // namespace

Interruption::Interruption() {
  noted_signal = 0;
  struct sigaction note {};
  note.sa_handler = note_signal;
  note.sa_flags = static_cast<int>(SA_RESETHAND);  // No SA_RESTART: read(2) must return.
  ::sigaction(SIGINT, &note, &interrupt_before_);
  ::sigaction(SIGTERM, &note, &terminate_before_);
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &ignore, &pipe_before_);
}

Interruption::~Interruption() {
  ::sigaction(SIGINT, &interrupt_before_, nullptr);
  ::sigaction(SIGTERM, &terminate_before_, nullptr);
  ::sigaction(SIGPIPE, &pipe_before_, nullptr);
}

int Interruption::signal() noexcept { return noted_signal; }

Status Interruption::check() {
  if (noted_signal == 0) return {};
  return {Code::cancelled, "ended by signal " + std::to_string(noted_signal)};
}

ProgressLine::ProgressLine(std::string label)
    : label_(std::move(label)), terminal_(::isatty(STDERR_FILENO) == 1), started_ms_(now_ms()) {}

ProgressLine::~ProgressLine() {
  if (shown_) std::fputs("\n", stderr);
}

void ProgressLine::show(std::uint64_t done_bytes, std::uint64_t total_bytes) {
  if (!terminal_ || total_bytes == 0) return;
  const std::int64_t now = now_ms();
  if (now < next_ms_ && done_bytes < total_bytes) return;
  next_ms_ = now + redraw_ms;
  shown_ = true;
  constexpr double mebibyte = 1 << 20;
  const double seconds = static_cast<double>(std::max<std::int64_t>(now - started_ms_, 1)) / 1e3;
  const double done = static_cast<double>(done_bytes);
  std::fprintf(stderr, "\r%s: %3.0f%% of %.1f MiB, %.1f MiB/s ", label_.c_str(),
               100 * done / static_cast<double>(total_bytes),
               static_cast<double>(total_bytes) / mebibyte, done / mebibyte / seconds);
  std::fflush(stderr);
}

}  // namespace pm::ctl
