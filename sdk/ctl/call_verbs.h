#pragma once

#include <google/protobuf/message.h>

#include <boost/program_options/options_description.hpp>
#include <string>
#include <vector>

#include "command_line.h"

// The verbs that are one call of the contract each. Their options are the request's fields, and
// what they print is the answer.

namespace pm::ctl {

struct CallVerb {
  const char* name;
  const char* arguments;  // As the help shows them.
  const char* summary;
  const char* method;  // "PayloadStreamService/Append"
  const google::protobuf::Message& (*request)();
  const google::protobuf::Message& (*reply)();
  std::vector<const char*> positional;  // Options that are given without their name.
  bool last_repeats = false;
  const char* rows = nullptr;  // The repeated field of the reply whose elements are the rows.
  std::vector<const char*> columns = {};  // Of the table; paths of fields.
  bool streams = false;                   // Prints each reply as it comes.
  bool last_is_optional = false;          // Of the positional ones.
};

const std::vector<CallVerb>& call_verbs();

void add_call_options(const CallVerb& verb, boost::program_options::options_description& options);
std::vector<std::string> call_positionals(const CallVerb& verb);
int run_call(const Context& context);

}  // namespace pm::ctl
