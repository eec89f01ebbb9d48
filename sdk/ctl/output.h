#pragma once

#include <boost/json/fwd.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <string>
#include <vector>

#include "pm/client/client.h"
#include "table.h"

// How results look: a table's rows, or JSON with lowerCamelCase keys in a fixed order. Times are
// ISO 8601 in UTC; what is absent is null in JSON and "-" in a table. Numbers of JSON are exact
// integers up to 2^64-1.

namespace pm::ctl {

enum class Format { table, json };

std::vector<std::string> descriptor_header();
std::vector<std::string> descriptor_row(const client::Descriptor& descriptor);
boost::json::object descriptor_json(const client::Descriptor& descriptor);

std::vector<std::string> summary_header();
std::vector<std::string> summary_row(const client::Summary& summary);
boost::json::object summary_json(const client::Summary& summary);

std::vector<std::string> lease_header();
std::vector<std::string> lease_row(const client::Lease& lease);
boost::json::object lease_json(const client::Lease& lease);

// Tables: tiers, what payloads are shown on, leases, and rules of policies if there are any.
void print_stats_tables(const client::Stats& stats, std::ostream& out);
boost::json::object stats_json(const client::Stats& stats);

// The outcome of one of several ids.
struct Outcome {
  std::string id;
  Status status;
  std::optional<client::Descriptor> descriptor;
};
std::vector<std::string> outcome_header();
std::vector<std::string> outcome_row(const Outcome& outcome);
boost::json::object outcome_json(const Outcome& outcome);

// One descriptor in the format asked for.
void print_descriptor(const client::Descriptor& descriptor, Format format, std::ostream& out);

// A line of compact JSON.
void print_json(const boost::json::value& value, std::ostream& out);

}  // namespace pm::ctl
