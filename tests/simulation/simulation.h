#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "sim_clients.h"
#include "sim_engine.h"
#include "trouble.h"

namespace pm::simulation {

struct Outcome {
  std::string violation;  // Empty: none. Else what, and after how many steps.
  std::uint64_t steps = 0;
  std::uint64_t lives = 0;
  std::uint64_t answers = 0;
  std::uint64_t successes = 0;
  FaultCounts faults{};
};

// The whole engine in one thread: what happens next, and what goes wrong, follows from the seed.
class Simulation {
 public:
  explicit Simulation(std::uint64_t seed);

  Outcome run(std::uint64_t steps);

 private:
  void step();
  void begin_life();
  void end_life();
  void pass(std::uint64_t ns);
  void hang();
  bool settle();
  void check(bool all);
  void finish();
  void recount(bool all);
  void accuse(const std::string& words);

  Dice dice_;
  Trouble trouble_{dice_};
  World world_{trouble_};
  SimClients clients_{world_, trouble_};
  std::unique_ptr<SimEngine> engine_;
  Outcome outcome_;
  int hanging_ = 0;  // Calls that hang now, one within the other.
};

}  // namespace pm::simulation
