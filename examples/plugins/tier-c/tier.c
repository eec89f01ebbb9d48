// A tier that keeps each object as a file: FOLDER/INSTANCE/PAYLOAD-GENERATION, in hexadecimal.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pm/ext/draft/tier_enumerate.h>
#include <pm/tier.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"

#define FILE_NAME_BYTES 50  // 32 of the payload, '-', 16 of the generation, NUL.
#define PAGE_BYTES UINT64_C(4096)

typedef struct folder {
  pm_tier_t tier;
  const pm_host_t* host;
  char path[512];  // FOLDER/INSTANCE
  int directory;   // Open on it.
  uint64_t capacity_bytes;
  pthread_mutex_t lock;  // Of the usage.
  pm_tier_usage_t usage;
} folder_t;

static folder_t* self_of(const pm_tier_t* tier) { return tier->tier_data; }

static uint64_t charge_of(uint64_t length) {
  return (length + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
}

// Leaves words for the host about what errno says, and gives back `status`.
static pm_status_t fail(const folder_t* self, pm_status_t status, const char* what) {
  char text[160];
  snprintf(text, sizeof text, "%s: %s", what, strerror(errno));
  self->host->set_error(self->host, text);
  return status;
}

static pm_status_t refuse(const folder_t* self, pm_status_t status, const char* what) {
  self->host->set_error(self->host, what);
  return status;
}

// Copies `value` out, but no byte past the `size` that the caller knows.
static void fill(void* target, const void* value, uint32_t value_size) {
  const uint32_t size = *(const uint32_t*)target;
  memcpy((char*)target + sizeof size, (const char*)value + sizeof size,
         (size < value_size ? size : value_size) - sizeof size);
}

static void file_name(const pm_object_id_t* object, char name[FILE_NAME_BYTES]) {
  for (int i = 0; i < 16; ++i) snprintf(name + 2 * i, 3, "%02x", object->payload[i]);
  snprintf(name + 32, FILE_NAME_BYTES - 32, "-%016" PRIx64, object->generation);
}

// The reverse; false for a file that is none of ours.
static bool parse_name(const char* name, pm_object_id_t* object) {
  unsigned byte = 0;
  char again[FILE_NAME_BYTES];
  if (strlen(name) != FILE_NAME_BYTES - 1) return false;
  for (int i = 0; i < 16; ++i) {
    if (sscanf(name + 2 * i, "%2x", &byte) != 1) return false;
    object->payload[i] = (uint8_t)byte;
  }
  if (sscanf(name + 32, "-%16" SCNx64, &object->generation) != 1) return false;
  file_name(object, again);
  return strcmp(name, again) == 0;
}

// The length allocated is what the host keeps for us.
static pm_cookie_t make_cookie(uint64_t length) {
  pm_cookie_t cookie = {.length = sizeof length};
  memcpy(cookie.bytes, &length, sizeof length);
  return cookie;
}

static uint64_t length_of(const pm_cookie_t* cookie) {
  uint64_t length = 0;
  if (cookie->length == sizeof length) memcpy(&length, cookie->bytes, sizeof length);
  return length;
}

static int open_object(const folder_t* self, const pm_object_id_t* object, int flags) {
  char name[FILE_NAME_BYTES];
  file_name(object, name);
  return openat(self->directory, name, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
}

// What errno of open_object() means. EACCES: sealed, and to be written.
static pm_status_t open_error(void) {
  return errno == ENOENT ? PM_NOT_FOUND : errno == EACCES ? PM_FAILED_PRECONDITION : PM_UNAVAILABLE;
}

// Counts an object, if there is room for it.
static bool reserve(folder_t* self, uint64_t charge) {
  pthread_mutex_lock(&self->lock);
  const bool fits =
      charge <= self->capacity_bytes && self->usage.bytes_used <= self->capacity_bytes - charge;
  if (fits) {
    self->usage.bytes_used += charge;
    ++self->usage.objects;
  }
  pthread_mutex_unlock(&self->lock);
  return fits;
}

static void release(folder_t* self, uint64_t charge) {
  pthread_mutex_lock(&self->lock);
  self->usage.bytes_used -= charge < self->usage.bytes_used ? charge : self->usage.bytes_used;
  self->usage.objects -= self->usage.objects > 0;
  pthread_mutex_unlock(&self->lock);
}

static void folder_get_info(const pm_tier_t* tier, pm_tier_info_t* info) {
  const folder_t* self = self_of(tier);
  pm_tier_info_t value = {.traits = PM_TIER_KEEPS_BYTES | PM_TIER_SURVIVES_PROCESS |
                                    PM_TIER_SURVIVES_POWER | PM_TIER_HOST_ADDRESSABLE |
                                    PM_TIER_PARALLEL_RANGES,
                          .charge_granularity_bytes = PAGE_BYTES,
                          .alignment_bytes = PAGE_BYTES,
                          .chunk_bytes_preferred = 1 << 20,
                          .capacity_bytes = self->capacity_bytes};
  struct stat status = {0};
  fstat(self->directory, &status);
  snprintf(value.fingerprint, sizeof value.fingerprint, "folder-%jx-%jx", (uintmax_t)status.st_dev,
           (uintmax_t)status.st_ino);
  fill(info, &value, sizeof value);
}

static void folder_get_usage(const pm_tier_t* tier, pm_tier_usage_t* usage) {
  folder_t* self = self_of(tier);
  pthread_mutex_lock(&self->lock);
  const pm_tier_usage_t value = self->usage;
  pthread_mutex_unlock(&self->lock);
  fill(usage, &value, sizeof value);
}

static pm_status_t folder_allocate(const pm_tier_t* tier, const pm_call_context_t* context,
                                   const pm_object_id_t* object, uint64_t length,
                                   const pm_allocate_options_t* options,
                                   pm_allocation_t* allocation) {
  (void)context, (void)options;
  folder_t* self = self_of(tier);
  if (length == 0) return refuse(self, PM_INVALID_ARGUMENT, "an object has at least 1 byte");
  if (length > self->capacity_bytes) {  // So that rounding up cannot overflow either.
    return refuse(self, PM_RESOURCE_EXHAUSTED, "the object is larger than the capacity");
  }
  const int file = open_object(self, object, O_RDWR | O_CREAT | O_EXCL);
  if (file < 0) {
    return fail(self, errno == EEXIST ? PM_ALREADY_EXISTS : PM_UNAVAILABLE, "create");
  }
  char name[FILE_NAME_BYTES];
  file_name(object, name);
  if (!reserve(self, charge_of(length))) {
    unlinkat(self->directory, name, 0);
    close(file);
    return refuse(self, PM_RESOURCE_EXHAUSTED, "the capacity is used up");
  }
  // Takes the blocks now: a later write, also a client's into its mapping, finds room for certain.
  errno = posix_fallocate(file, 0, (off_t)length);
  if (errno != 0) {
    const pm_status_t status = errno == ENOSPC || errno == EDQUOT || errno == EFBIG
                                   ? PM_RESOURCE_EXHAUSTED
                                   : PM_UNAVAILABLE;
    fail(self, status, "take room");
    unlinkat(self->directory, name, 0);
    close(file);
    release(self, charge_of(length));
    return status;
  }
  close(file);
  const pm_allocation_t value = {.bytes_charged = charge_of(length), .cookie = make_cookie(length)};
  fill(allocation, &value, sizeof value);
  return PM_OK;
}

// The usage counts everything that create() found, so nothing is added here.
static pm_status_t folder_adopt(const pm_tier_t* tier, const pm_object_id_t* object,
                                const pm_cookie_t* cookie, uint64_t length,
                                uint64_t* bytes_charged) {
  const folder_t* self = self_of(tier);
  char name[FILE_NAME_BYTES];
  struct stat status;
  file_name(object, name);
  if (fstatat(self->directory, name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
    return fail(self, errno == ENOENT ? PM_NOT_FOUND : PM_UNAVAILABLE, "adopt");
  }
  if (length_of(cookie) != length || (uint64_t)status.st_size != length) {
    return refuse(self, PM_DATA_LOSS, "the file has another length");
  }
  if ((status.st_mode & S_IWUSR) != 0) {
    return refuse(self, PM_DATA_LOSS, "the file was never sealed");
  }
  *bytes_charged = charge_of(length);
  return PM_OK;
}

static pm_status_t folder_locate(const pm_tier_t* tier, const pm_object_id_t* object,
                                 const pm_cookie_t* cookie, uint64_t length,
                                 pm_location_t* location) {
  (void)cookie;
  const folder_t* self = self_of(tier);
  char name[FILE_NAME_BYTES];
  file_name(object, name);
  const size_t needed = strlen(self->path) + 1 + strlen(name) + 1;
  if (location->text_capacity < needed) {
    return refuse(self, PM_RESOURCE_EXHAUSTED, "the buffer for the path is too small");
  }
  snprintf(location->text, location->text_capacity, "%s/%s", self->path, name);
  location->kind = PM_LOCATION_FILE;
  location->offset_bytes = 0;
  location->mapping_bytes = length;
  return PM_OK;
}

static pm_status_t folder_read(const pm_tier_t* tier, const pm_call_context_t* context,
                               const pm_object_id_t* object, const pm_cookie_t* cookie,
                               uint64_t offset, void* target, uint64_t length, uint64_t* count) {
  (void)context;
  const folder_t* self = self_of(tier);
  *count = 0;
  const int file = open_object(self, object, O_RDONLY);
  if (file < 0) return fail(self, open_error(), "open");
  const uint64_t end = length_of(cookie);
  if (offset >= end)
    length = 0;
  else if (length > end - offset)
    length = end - offset;
  while (*count < length) {
    const ssize_t done =
        pread(file, (char*)target + *count, length - *count, (off_t)(offset + *count));
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) {
      fail(self, PM_UNAVAILABLE, "read");
      close(file);
      return PM_UNAVAILABLE;
    }
    if (done == 0) break;  // A client has shortened the file.
    *count += (uint64_t)done;
  }
  close(file);
  return PM_OK;
}

static pm_status_t folder_write(const pm_tier_t* tier, const pm_call_context_t* context,
                                const pm_object_id_t* object, const pm_cookie_t* cookie,
                                uint64_t offset, const void* source, uint64_t length) {
  (void)context;
  const folder_t* self = self_of(tier);
  const int file = open_object(self, object, O_WRONLY);
  if (file < 0) return fail(self, open_error(), "open");
  const uint64_t end = length_of(cookie);
  struct stat status;
  if (offset > end || length > end - offset) {
    close(file);
    return refuse(self, PM_OUT_OF_RANGE, "a write past the length allocated");
  }
  // The permission alone does not hold root back.
  if (fstat(file, &status) != 0 || (status.st_mode & S_IWUSR) == 0) {
    close(file);
    return refuse(self, PM_FAILED_PRECONDITION, "the object is sealed");
  }
  uint64_t count = 0;
  while (count < length) {
    const ssize_t done =
        pwrite(file, (const char*)source + count, length - count, (off_t)(offset + count));
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) {
      fail(self, PM_UNAVAILABLE, "write");
      close(file);
      return PM_UNAVAILABLE;
    }
    count += (uint64_t)done;
  }
  close(file);
  return PM_OK;
}

// The bytes first, then the mark that they are whole (no permission to write), then its name.
static pm_status_t folder_seal(const pm_tier_t* tier, const pm_call_context_t* context,
                               const pm_object_id_t* object, const pm_cookie_t* cookie,
                               uint64_t length) {
  (void)context, (void)cookie;
  const folder_t* self = self_of(tier);
  const int file = open_object(self, object, O_RDONLY);
  if (file < 0) return fail(self, open_error(), "open");
  struct stat status;
  pm_status_t result = PM_OK;
  if (fstat(file, &status) != 0) {
    result = fail(self, PM_UNAVAILABLE, "look at the file");
  } else if ((uint64_t)status.st_size != length) {
    result = refuse(self, PM_FAILED_PRECONDITION, "the file has not the length allocated");
  } else if (fdatasync(file) != 0 || fchmod(file, 0400) != 0 || fsync(file) != 0 ||
             fsync(self->directory) != 0) {
    result = fail(self, PM_DATA_LOSS, "sync");
  }
  close(file);
  return result;
}

static pm_status_t folder_remove(const pm_tier_t* tier, const pm_call_context_t* context,
                                 const pm_object_id_t* object, const pm_cookie_t* cookie,
                                 uint64_t length) {
  (void)context, (void)cookie;
  folder_t* self = self_of(tier);
  char name[FILE_NAME_BYTES];
  file_name(object, name);
  if (unlinkat(self->directory, name, 0) != 0) {
    return fail(self, errno == ENOENT ? PM_NOT_FOUND : PM_UNAVAILABLE, "remove");
  }
  release(self, charge_of(length));
  return PM_OK;
}

static pm_status_t folder_enumerate(const pm_tier_t* tier, const pm_call_context_t* context,
                                    pm_on_tier_object_t on_object, void* data) {
  (void)context;
  const folder_t* self = self_of(tier);
  // A descriptor of its own: two enumerations do not share a position.
  const int directory = openat(self->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* list = directory < 0 ? NULL : fdopendir(directory);
  if (list == NULL) {
    if (directory >= 0) close(directory);
    return fail(self, PM_UNAVAILABLE, "list the folder");
  }
  bool more = true;
  for (const struct dirent* entry = readdir(list); more && entry != NULL; entry = readdir(list)) {
    pm_tier_object_t found = {.size = sizeof found};
    struct stat status;
    if (!parse_name(entry->d_name, &found.object)) continue;
    if (fstatat(directory, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
    found.sealed = (status.st_mode & S_IWUSR) == 0;
    found.length = (uint64_t)status.st_size;
    found.bytes_charged = charge_of(found.length);
    found.cookie = make_cookie(found.length);
    more = on_object(data, &found);
  }
  closedir(list);
  return PM_OK;
}

static const void* folder_get_extension(const pm_tier_t* tier, const char* id) {
  static const pm_tier_enumerate_t enumerate = {folder_enumerate};
  (void)tier;
  return strcmp(id, PM_TIER_ENUMERATE) == 0 ? &enumerate : NULL;
}

static void folder_destroy(const pm_tier_t* tier) {
  folder_t* self = self_of(tier);
  close(self->directory);
  pthread_mutex_destroy(&self->lock);
  free(self);
}

static bool count_object(void* data, const pm_tier_object_t* object) {
  folder_t* self = data;
  self->usage.bytes_used += object->bytes_charged;
  ++self->usage.objects;
  return true;
}

static const pm_tier_t functions = {.get_info = folder_get_info,
                                    .get_usage = folder_get_usage,
                                    .allocate = folder_allocate,
                                    .adopt = folder_adopt,
                                    .locate = folder_locate,
                                    .read = folder_read,
                                    .write = folder_write,
                                    .seal = folder_seal,
                                    .remove = folder_remove,
                                    .get_extension = folder_get_extension,
                                    .destroy = folder_destroy};

// Opens FOLDER/INSTANCE: two hosts with the same folder keep apart.
static bool open_folder(folder_t* self, const char* config_json) {
  const pm_host_identity_t* identity = self->host->get_extension(self->host, PM_HOST_IDENTITY);
  const char* instance = identity == NULL ? "any" : identity->instance_id;
  char folder[400];
  if (!config_text(config_json, "directory", folder, sizeof folder) || folder[0] != '/') {
    refuse(self, PM_INVALID_ARGUMENT, "directory: give an absolute path below 400 characters");
    return false;
  }
  snprintf(self->path, sizeof self->path, "%s/%.64s", folder, instance);
  if ((mkdir(folder, 0700) != 0 && errno != EEXIST) ||
      (mkdir(self->path, 0700) != 0 && errno != EEXIST)) {
    fail(self, PM_UNAVAILABLE, "make the directory");
    return false;
  }
  self->directory = open(self->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (self->directory < 0) fail(self, PM_UNAVAILABLE, "open the directory");
  return self->directory >= 0;
}

static const void* folder_create(const pm_host_t* host, const char* config_json) {
  folder_t* self = calloc(1, sizeof *self);
  if (self == NULL) return NULL;
  self->tier = functions;
  self->tier.tier_data = self;
  self->host = host;
  pthread_mutex_init(&self->lock, NULL);
  if (!config_number(config_json, "capacity_bytes", &self->capacity_bytes)) {
    refuse(self, PM_INVALID_ARGUMENT, "capacity_bytes: give a number");
  } else if (open_folder(self, config_json)) {
    if (folder_enumerate(&self->tier, NULL, count_object, self) == PM_OK) return &self->tier;
    close(self->directory);
  }
  pthread_mutex_destroy(&self->lock);
  free(self);
  return NULL;
}

static const pm_plugin_descriptor_t descriptor = {
    .size = sizeof descriptor,
    .id = "org.example.tier-c",
    .name = "Folder tier in C",
    .version = "1.0.0",
    .kind = PM_KIND_TIER,
    .config_schema =
        "{\"type\": \"object\", \"required\": [\"directory\"], \"additionalProperties\": false,"
        " \"properties\": {"
        "\"directory\": {\"type\": \"string\", \"pattern\": \"^/\", \"maxLength\": 399,"
        " \"description\": \"Where the files lie; absolute.\"},"
        "\"capacity_bytes\": {\"type\": \"integer\", \"minimum\": 4096, \"default\": 1073741824,"
        " \"description\": \"How much may be charged.\"}}}"};

const pm_plugin_entry_t pm_plugin_entry_v1 = {.abi_major = PM_ABI_MAJOR,
                                              .abi_minor = PM_ABI_MINOR,
                                              .descriptor = &descriptor,
                                              .create = folder_create};

PM_PLUGIN_NOTE(PM_KIND_TIER, "org.example.tier-c");
