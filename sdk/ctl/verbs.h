#pragma once

#include "command_line.h"

// One function a verb; each returns an exit status.

namespace pm::ctl {

int run_allocate(const Context& context);
int run_commit(const Context& context);
int run_delete(const Context& context);
int run_promote(const Context& context);
int run_spill(const Context& context);

int run_resolve(const Context& context);
int run_lease(const Context& context);
int run_release(const Context& context);
int run_stats(const Context& context);
int run_list(const Context& context);

int run_put(const Context& context);
int run_get(const Context& context);
int run_sha256(const Context& context);

int run_scrub(const Context& context);

int run_policy_check(const Context& context);
int run_policy_test(const Context& context);
int run_policy_simulate(const Context& context);
int run_policy_show(const Context& context);
int run_policy_reload(const Context& context);
int run_policy_replay(const Context& context);

int run_completion(const Context& context);

}  // namespace pm::ctl
