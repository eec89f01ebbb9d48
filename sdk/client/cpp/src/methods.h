#pragma once

// The methods that this library calls by itself.

namespace pm::client::detail::method {

#define PM_CATALOG "/payload.manager.services.v1.PayloadCatalogService/"
#define PM_DATA "/payload.manager.services.v1.PayloadDataService/"
#define PM_ADMIN "/payload.manager.services.v1.PayloadAdminService/"
inline constexpr char allocate[] = PM_CATALOG "AllocatePayload";
inline constexpr char commit[] = PM_CATALOG "CommitPayload";
inline constexpr char erase[] = PM_CATALOG "Delete";
inline constexpr char promote[] = PM_CATALOG "Promote";
inline constexpr char spill[] = PM_CATALOG "Spill";
inline constexpr char list[] = PM_CATALOG "ListPayloads";
inline constexpr char lease[] = PM_DATA "AcquireReadLease";
inline constexpr char release[] = PM_DATA "ReleaseLease";
inline constexpr char resolve[] = PM_DATA "ResolveSnapshot";
inline constexpr char scrub[] = PM_ADMIN "Scrub";
inline constexpr char stats[] = PM_ADMIN "Stats";
#undef PM_CATALOG
#undef PM_DATA
#undef PM_ADMIN

}  // namespace pm::client::detail::method
