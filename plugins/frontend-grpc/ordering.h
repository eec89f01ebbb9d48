#pragma once

// What a thread did before it handed `tag` to gRPC happens before what the thread does that gets
// the tag's event. gRPC's locks see to that; ThreadSanitizer does not see them, because gRPC comes
// uninstrumented, so it is told. Nothing in other builds.

#if defined(__SANITIZE_THREAD__)
#define PM_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define PM_THREAD_SANITIZER 1
#endif
#endif

#ifdef PM_THREAD_SANITIZER
extern "C" void __tsan_acquire(void* address);
extern "C" void __tsan_release(void* address);
#endif

namespace pm::frontend {

inline void hand_over([[maybe_unused]] void* tag) {
#ifdef PM_THREAD_SANITIZER
  __tsan_release(tag);
#endif
}

inline void take_over([[maybe_unused]] void* tag) {
#ifdef PM_THREAD_SANITIZER
  __tsan_acquire(tag);
#endif
}

}  // namespace pm::frontend
