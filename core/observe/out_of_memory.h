#pragma once

namespace pm {

// From now on a process whose operator new finds no memory says so on standard error and ends at
// once with `exit_code`: a change of state that is half done must not be gone on with, and what was
// acknowledged is recovered by the next start. Also plugins' memory counts, which is the process's;
// who can do without asks malloc. [control-thread]
void end_when_out_of_memory(int exit_code);

}  // namespace pm
