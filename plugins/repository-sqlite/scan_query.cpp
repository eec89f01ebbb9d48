#include "scan_query.h"

#include <optional>
#include <string_view>

#include "connection.h"

namespace pm::repository_sqlite {

namespace {

using sdk::RecordKind;

enum class Half { lower, upper };

const char* sign_of(std::uint32_t comparison) {
  switch (comparison) {
    case PM_EQUAL: return " = ";
    case PM_LESS: return " < ";
    case PM_LESS_EQUAL: return " <= ";
    case PM_GREATER: return " > ";
    default: return " >= ";
  }
}

bool wants_less(std::uint32_t comparison) {
  return comparison == PM_LESS || comparison == PM_LESS_EQUAL;
}

// A condition on the U64 column that is split, within one half: a comparison of stored numbers
// when the value is of the same half, else true (NULL) or false for all of it.
struct HalfCondition {
  bool excludes_all = false;
  bool needs_comparison = false;
};
HalfCondition within_half(const pm_condition_t& condition, Half half) {
  const Half value_half = is_upper(condition.value.as.u64) ? Half::upper : Half::lower;
  if (value_half == half) return {false, true};
  if (condition.comparison == PM_EQUAL) return {true, false};
  const bool half_is_less = half == Half::lower;
  return {half_is_less != wants_less(condition.comparison), false};
}

// A condition on a U64 column over both halves. Equality needs no care: equal bits, equal numbers.
std::string over_both_halves(const std::string& column, const pm_condition_t& condition) {
  const std::string comparison = column + sign_of(condition.comparison) + "?";
  if (condition.comparison == PM_EQUAL) return comparison;
  const bool upper = is_upper(condition.value.as.u64);
  if (wants_less(condition.comparison))
    return upper ? "(" + column + " >= 0 OR " + comparison + ")"
                 : "(" + column + " >= 0 AND " + comparison + ")";
  return upper ? "(" + column + " < 0 AND " + comparison + ")"
               : "(" + column + " < 0 OR " + comparison + ")";
}

struct Order {
  std::vector<std::size_t> positions;
  bool is_split = false;  // By the halves of positions[0].
};

Order order_of(const RecordKind& kind, const pm_scan_t& scan) {
  const auto is_constant = [&](std::size_t at) {
    for (std::uint32_t i = 0; i < scan.condition_count; ++i)
      if (scan.conditions[i].comparison == PM_EQUAL &&
          scan.conditions[i].value.field == kind.fields[at].id)
        return true;
    return false;
  };
  std::vector<std::size_t> first;
  if (scan.order_field != 0) first.push_back(kind.position(scan.order_field));
  Order order{sdk::deciding_positions(kind, first, is_constant), false};
  order.is_split = !order.positions.empty() && kind.fields[order.positions[0]].type == PM_VALUE_U64;
  return order;
}

std::string order_by(const RecordKind& kind, const Order& order, bool descending) {
  const std::string direction = descending ? " DESC" : "";
  std::string sql;
  for (std::size_t i = 0; i < order.positions.size(); ++i) {
    const auto& field = kind.fields[order.positions[i]];
    const std::string column = quoted(field.name);
    sql += sql.empty() ? " ORDER BY " : ", ";
    if (field.type == PM_VALUE_U64 && !(i == 0 && order.is_split))
      sql += "(" + column + " < 0)" + direction + ", ";
    sql += column + direction;
  }
  return sql;
}

// NULL when no record of this half can meet the conditions.
std::optional<ScanQuery> query_of(const RecordKind& kind, const pm_scan_t& scan, const Order& order,
                                  Half half) {
  ScanQuery query;
  query.sql = "SELECT " + column_list(kind) + " FROM " + quoted(kind.name);
  const char* separator = " WHERE ";
  const auto add = [&](const std::string& condition) {
    query.sql += separator + condition;
    separator = " AND ";
  };
  if (order.is_split)
    add(quoted(kind.fields[order.positions[0]].name) + (half == Half::lower ? " >= 0" : " < 0"));
  for (std::uint32_t i = 0; i < scan.condition_count; ++i) {
    const pm_condition_t& condition = scan.conditions[i];
    const std::size_t at = kind.position(condition.value.field);
    const std::string column = quoted(kind.fields[at].name);
    if (kind.fields[at].type == PM_VALUE_U64 && order.is_split && at == order.positions[0]) {
      const HalfCondition found = within_half(condition, half);
      if (found.excludes_all) return std::nullopt;
      if (!found.needs_comparison) continue;
      add(column + sign_of(condition.comparison) + "?");
    } else if (kind.fields[at].type == PM_VALUE_U64) {
      add(over_both_halves(column, condition));
    } else {
      add(column + sign_of(condition.comparison) + "?");
    }
    query.parameters.push_back(&condition.value);
  }
  query.sql += order_by(kind, order, scan.descending != 0) + " LIMIT ?";
  return query;
}

}  // namespace

std::string column_list(const RecordKind& kind) {
  std::string sql;
  for (const auto& field : kind.fields) sql += (sql.empty() ? "" : ", ") + quoted(field.name);
  return sql;
}

std::vector<ScanQuery> scan_queries(const RecordKind& kind, const pm_scan_t& scan) {
  const Order order = order_of(kind, scan);
  std::vector<Half> halves{Half::lower};
  if (order.is_split && scan.descending == 0) halves = {Half::lower, Half::upper};
  if (order.is_split && scan.descending != 0) halves = {Half::upper, Half::lower};
  std::vector<ScanQuery> result;
  for (const Half half : halves)
    if (auto query = query_of(kind, scan, order, half)) result.push_back(std::move(*query));
  return result;
}

}  // namespace pm::repository_sqlite
