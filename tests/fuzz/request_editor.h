#pragma once

#include <google/protobuf/message.h>
#include <pm/frontend.h>

#include <string>
#include <string_view>
#include <vector>

namespace pm::fuzz {

// A method of the contract.
struct ContractMethod {
  std::string path;  // "/package.Service/Method"
  const google::protobuf::Descriptor* request = nullptr;
  const google::protobuf::Descriptor* reply = nullptr;
};

// Every method, in the order of the contract's files: an input names one by its number.
const std::vector<ContractMethod>& contract_methods(const pm_engine_t* engine);

// What a server drew by chance, an input cannot know: it writes one byte instead. In requests, ids
// of one byte become the n-th id seen, tokens of one letter the last page token, or resume token.
class RequestEditor {
 public:
  // The bytes to send; `bytes` as they are when they are no such request.
  std::string edit(const ContractMethod& method, std::string_view bytes);

  // Remembers the ids and tokens of a reply; false when it is not what the method replies with.
  bool learn(const ContractMethod& method, std::string_view bytes);

 private:
  void edit(google::protobuf::Message& message);
  void learn(const google::protobuf::Message& message);

  std::vector<std::string> ids_;
  std::string page_token_;
  std::string resume_token_;
};

}  // namespace pm::fuzz
