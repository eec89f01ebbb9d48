#include "engine_caller.h"
#include "local_engine.h"
#include "report.h"
#include "subject.h"

namespace pm::perf {

namespace {

EngineSetup setup_for(std::size_t payloads) {
  EngineSetup setup;
  setup.repository = "memory";
  setup.slab_bytes = payloads * 4096;
  return setup;
}

class EngineSubject final : public Subject {
 public:
  explicit EngineSubject(std::size_t payloads)
      : engine_(setup_for(payloads)), caller_(engine_.engine(), true) {}

  wire::ListPayloadsResponse list(const wire::ListPayloadsRequest& request) override {
    return call<wire::ListPayloadsResponse>("ListPayloads", request);
  }
  wire::BatchAllocateResponse allocate(const wire::BatchAllocateRequest& request) override {
    return call<wire::BatchAllocateResponse>("BatchAllocate", request);
  }
  wire::BatchCommitResponse commit(const wire::BatchCommitRequest& request) override {
    return call<wire::BatchCommitResponse>("BatchCommit", request);
  }

 private:
  template <typename Response>
  Response call(const std::string& method, const google::protobuf::MessageLite& request) {
    const std::string name = "/payload.manager.services.v1.PayloadCatalogService/" + method;
    Response response;
    must(caller_.call(name.c_str(), request, response), method + ": " + caller_.error());
    return response;
  }

  LocalEngine engine_;
  EngineCaller caller_;
};

}  // namespace

std::unique_ptr<Subject> engine_in_this_process(std::size_t payloads) {
  return std::make_unique<EngineSubject>(payloads);
}

}  // namespace pm::perf
