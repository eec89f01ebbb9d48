#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <thread>

#include "mutant_engine.h"
#include "rules.h"

// Each fault, and the rule that must notice it. That the rules hold without a fault is what
// frontend_contract_test shows.

namespace pm::frontend_contract {
namespace {

struct Mutant {
  const char* name;
  const char* caught_by;
  Fault fault;
  std::function<void(const std::string&)> after_start;
  std::function<void(const std::string&)> after_stop;
};

Mutant faulty(const char* name, const char* caught_by, Fault fault) {
  return {name, caught_by, std::move(fault), {}, {}};
}

std::vector<Mutant> call_mutants() {
  std::vector<Mutant> result;
  Fault fault;
  fault.request = [](std::string& request) {
    if (request.size() > 60'000) request[50'000] ^= 1;
  };
  result.push_back(faulty("flips_a_bit_of_large_requests", "FRONT-01", fault));
  fault = {};
  fault.request = [](std::string& request) {
    if (request.starts_with("3 of")) request = "3 of 3";
  };
  result.push_back(faulty("mixes_up_concurrent_requests", "FRONT-02", fault));
  fault = {};
  fault.reply = [](pm_reply_t& reply) {
    reply.details = nullptr;
    reply.details_length = 0;
  };
  result.push_back(faulty("drops_details", "FRONT-04", fault));
  fault = {};
  fault.reply = [](pm_reply_t& reply) {
    if (reply.status == PM_DATA_LOSS) reply.status = PM_UNKNOWN;
  };
  result.push_back(faulty("knows_one_code_too_few", "FRONT-04", fault));
  fault = {};
  fault.info = [](pm_call_info_t& info, pm_principal_t&) { info.deadline_ns = 0; };
  result.push_back(faulty("forgets_deadlines", "FRONT-05", fault));
  fault = {};
  fault.info = [](pm_call_info_t& info, pm_principal_t&) {
    if (info.deadline_ns != 0) info.deadline_ns += 3'600'000'000'000;
  };
  result.push_back(faulty("takes_deadlines_from_another_clock", "FRONT-05", fault));
  fault = {};
  fault.cancels = 0;
  result.push_back(faulty("does_not_pass_on_cancels", "FRONT-06", fault));
  fault.cancels = 2;
  result.push_back(faulty("cancels_twice", "FRONT-06", fault));
  fault = {};
  fault.info = [](pm_call_info_t&, pm_principal_t& principal) { principal.token = "Bearer x"; };
  result.push_back(faulty("keeps_one_token_for_all", "FRONT-08", fault));
  return result;
}

std::vector<Mutant> stream_and_socket_mutants() {
  std::vector<Mutant> result;
  Fault fault;
  fault.credits = 0;
  result.push_back(faulty("gives_no_credit_back", "FRONT-10", fault));
  fault.credits = 2;
  result.push_back(faulty("gives_credit_back_twice", "FRONT-10", fault));
  fault = {};
  fault.info = [](pm_call_info_t& info, pm_principal_t&) {
    if (info.credit != 0) info.credit = 1000;
  };
  result.push_back(faulty("grants_more_credit_than_configured", "FRONT-11", fault));
  fault = {};
  fault.cancels = 0;
  result.push_back(faulty("lets_left_streams_run", "FRONT-12", fault));
  result.push_back({"opens_its_socket_to_all",
                    "FRONT-22",
                    {},
                    [](const std::string& path) { chmod(path.c_str(), 0666); },
                    {}});
  result.push_back({"leaves_its_socket_behind", "FRONT-17", {}, {}, [](const std::string& path) {
                      std::ofstream(path) << "";
                    }});
  result.push_back({"stops_late", "FRONT-17", {}, {}, [](const std::string&) {
                      std::this_thread::sleep_for(std::chrono::milliseconds(1300));
                    }});
  return result;
}

std::vector<Mutant> session_mutants() {
  std::vector<Mutant> result;
  Fault fault;
  fault.credits = 0;
  result.push_back(faulty("passes_on_no_credit", "FRONT-32", fault));
  fault.credits = 2;
  result.push_back(faulty("passes_on_credit_twice", "FRONT-32", fault));
  fault = {};
  fault.closes = 0;
  result.push_back(faulty("forgets_to_close_sessions", "FRONT-33", fault));
  fault.closes = 2;
  result.push_back(faulty("closes_sessions_twice", "FRONT-33", fault));
  fault = {};
  fault.cancels = 0;
  result.push_back(faulty("leaves_calls_of_the_gone_open", "FRONT-33", fault));
  fault = {};
  fault.info = [](pm_call_info_t&, pm_principal_t& principal) { principal.uid = 0xffff; };
  result.push_back(faulty("takes_one_user_for_another", "FRONT-34", fault));
  fault = {};
  fault.info = [](pm_call_info_t& info, pm_principal_t&) { info.session = 1; };
  result.push_back(faulty("has_one_session_for_all", "FRONT-34", fault));
  fault = {};
  fault.request = [](std::string& request) {
    if (request.starts_with("silent")) request += "!";
  };
  result.push_back(faulty("changes_what_needs_no_reply", "FRONT-35", fault));
  return result;
}

// Those that the rules must catch whatever the transport is.
bool is_for_frames_too(const Mutant& mutant) {
  const std::string number = mutant.caught_by;
  return number <= "FRONT-07" || number == "FRONT-12" || number == "FRONT-17" ||
         number == "FRONT-22";
}

std::vector<Mutant> mutants() {
  auto result = call_mutants();
  for (auto& mutant : stream_and_socket_mutants()) result.push_back(std::move(mutant));
  return result;
}

std::vector<Mutant> mutants_over_frames() {
  auto result = session_mutants();
  for (auto& mutant : mutants()) {
    if (is_for_frames_too(mutant)) result.push_back(std::move(mutant));
  }
  return result;
}

class FrontendMutants : public testing::TestWithParam<std::tuple<Mutant, Transport>> {};

TEST_P(FrontendMutants, is_caught) {
  const auto& [mutant, transport] = GetParam();
  MutantEngine engine(mutant.fault);
  Mutation mutation;
  mutation.wrap_engine = [&engine](const pm_engine_t* inner) { return engine.wrap(inner); };
  mutation.after_start = mutant.after_start;
  mutation.after_stop = mutant.after_stop;
  Bench bench(transport, mutation);
  ASSERT_EQ(bench.trouble(), "");
  EXPECT_NE(rule(mutant.caught_by).check(bench), "") << "not caught by " << mutant.caught_by;
}

std::string name_of(const testing::TestParamInfo<std::tuple<Mutant, Transport>>& info) {
  return std::get<0>(info.param).name;
}

INSTANTIATE_TEST_SUITE_P(GrpcFrontend, FrontendMutants,
                         testing::Combine(testing::ValuesIn(mutants()),
                                          testing::Values(Transport::unix_socket)),
                         name_of);
INSTANTIATE_TEST_SUITE_P(LocalFrontend, FrontendMutants,
                         testing::Combine(testing::ValuesIn(mutants_over_frames()),
                                          testing::Values(Transport::local)),
                         name_of);

}  // namespace
}  // namespace pm::frontend_contract
