/* Preloaded into the host that is filled, so that a million payloads are made in a minute. What is
 * measured comes after, in a host without it. */

__attribute__((visibility("default"))) int fsync(int fd) { return fd < 0 ? -1 : 0; }
__attribute__((visibility("default"))) int fdatasync(int fd) { return fd < 0 ? -1 : 0; }
