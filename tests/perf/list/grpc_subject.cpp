#include <grpcpp/grpcpp.h>

#include "host_process.h"
#include "payload/manager/services/v1/catalog_service.grpc.pb.h"
#include "report.h"
#include "subject.h"

namespace pm::perf {

namespace {

using Stub = payload::manager::services::v1::PayloadCatalogService::Stub;

HostSetup setup_for(std::size_t payloads) {
  HostSetup setup;
  setup.repository = "memory";
  setup.slab_bytes = payloads * 4096;
  setup.shm_capacity_bytes = setup.slab_bytes;
  return setup;
}

class GrpcSubject final : public Subject {
 public:
  explicit GrpcSubject(std::size_t payloads)
      : host_(setup_for(payloads)),
        stub_(payload::manager::services::v1::PayloadCatalogService::NewStub(
            grpc::CreateChannel(host_.address(), grpc::InsecureChannelCredentials()))) {}

  wire::ListPayloadsResponse list(const wire::ListPayloadsRequest& request) override {
    return call<wire::ListPayloadsResponse>(&Stub::ListPayloads, request);
  }
  wire::BatchAllocateResponse allocate(const wire::BatchAllocateRequest& request) override {
    return call<wire::BatchAllocateResponse>(&Stub::BatchAllocate, request);
  }
  wire::BatchCommitResponse commit(const wire::BatchCommitRequest& request) override {
    return call<wire::BatchCommitResponse>(&Stub::BatchCommit, request);
  }

 private:
  template <typename Response, typename Method, typename Request>
  Response call(Method method, const Request& request) {
    grpc::ClientContext context;
    Response response;
    const grpc::Status status = (stub_.get()->*method)(&context, request, &response);
    must(status.ok(), status.error_message());
    return response;
  }

  const HostProcess host_;
  const std::unique_ptr<Stub> stub_;
};

}  // namespace

std::unique_ptr<Subject> host_over_grpc(std::size_t payloads) {
  return std::make_unique<GrpcSubject>(payloads);
}

}  // namespace pm::perf
