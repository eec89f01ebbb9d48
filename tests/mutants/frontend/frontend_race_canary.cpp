// A race on purpose, between two threads of the frontend that are in the engine at once. Under
// ThreadSanitizer, with the suppressions that the other tests run under, this must fail.

#include <cstdio>
#include <thread>

#include "mutant_engine.h"
#include "rules.h"

int main() {
  using namespace pm::frontend_contract;
  long unguarded = 0;
  Fault fault;
  fault.request = [&unguarded](std::string&) { ++unguarded; };
  MutantEngine engine(fault);
  Mutation mutation;
  mutation.wrap_engine = [&engine](const pm_engine_t* inner) { return engine.wrap(inner); };
  Bench bench(Transport::unix_socket, mutation);
  const std::string wrong = rule("FRONT-02").check(bench);
  std::printf("%ld calls %s\n", unguarded, wrong.c_str());
  return 0;
}
