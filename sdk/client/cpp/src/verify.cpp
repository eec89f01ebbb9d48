#include "verify.h"

#include <cstring>
#include <string>

#include "convert.h"
#include "methods.h"
#include "payload/manager/admin/v1/scrub.pb.h"
#include "sdk/checksum/hasher.h"
#include "status.h"

namespace pm::client::detail {

Status verify(const Checksum& checksum, std::span<const std::byte> bytes) {
  const auto kind = static_cast<HashKind>(checksum.algorithm);
  const std::size_t length = digest_bytes(kind);
  if (length == 0) return {};
  Hasher hasher(kind);
  hasher.add(bytes.data(), bytes.size());
  const auto digest = hasher.finish();
  PM_TRY(digest.status());
  const bool is_equal = checksum.value.size() == length &&
                        std::memcmp(checksum.value.data(), digest->data(), length) == 0;
  if (is_equal) return {};
  return {Code::data_loss, "the bytes do not have the payload's checksum", "CHECKSUM_MISMATCH"};
}

Status check_copies(Connection& connection, const PayloadId& id) {
  payload::manager::admin::v1::ScrubRequest request;
  set_id(request.add_ids(), id);
  payload::manager::admin::v1::ScrubResponse reply;
  PM_TRY(connection.call(method::scrub, request, &reply));
  if (reply.results_size() != 1) return {Code::internal, "the server answered no outcome"};
  return status_from(reply.results(0).error());
}

}  // namespace pm::client::detail
