#pragma once

#include <pm/plugin.h>

#include <memory>
#include <string>

#include "subject.h"

namespace pm::contract {

// A plugin of the build, loaded once and kept; NULL when it cannot be loaded.
const pm_plugin_entry_t* load_plugin(const std::string& name,
                                     const std::string& folder = "payload-manager");

// A folder of its own for one test, gone at the end. `parent` is the system's place for temporary
// files when it is empty.
class TemporaryFolder {
 public:
  explicit TemporaryFolder(const std::string& parent = {});
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// The configuration of repository-sqlite, defaults filled in.
std::string sqlite_config(const std::string& path);

// A store of repository-memory.
Subject memory_subject();

// The store of repository-sqlite at `path`.
Subject sqlite_subject(const std::string& path);

// The same behind repository-fault, whose schedule is a file that need not be there, or empty.
Subject memory_behind_faults_subject();
Subject sqlite_behind_faults_subject(const std::string& path,
                                     const std::string& schedule_file = {});

}  // namespace pm::contract
