// Runs the verbs that are one call: options to request, reply to rows or JSON.

#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/program_options/value_semantic.hpp>
#include <memory>
#include <ostream>

#include "call_verbs.h"
#include "message_view.h"
#include "request_fields.h"
#include "text.h"

namespace pm::ctl {
namespace {

namespace po = boost::program_options;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr std::int32_t page_size = 500;  // The contract's maximum.

bool is_positional(const CallVerb& verb, const std::string& option) {
  return std::find(verb.positional.begin(), verb.positional.end(), option) != verb.positional.end();
}

bool pages(const CallVerb& verb) {
  return verb.request().GetDescriptor()->FindFieldByName("page_token") != nullptr;
}

std::string full_name(const CallVerb& verb) {
  return "/payload.manager.services.v1." + std::string(verb.method);
}

// The positional ones first, as options may go into the elements that they make.
Result<std::unique_ptr<Message>> build(const CallVerb& verb, const Arguments& arguments) {
  std::unique_ptr<Message> request(verb.request().New());
  std::vector<RequestField> fields = request_fields(*request);
  std::stable_partition(fields.begin(), fields.end(), [&](const RequestField& field) {
    return is_positional(verb, field.option);
  });
  for (RequestField& field : fields) {
    if (!arguments.has(field.option)) continue;
    if (is_positional(verb, field.option)) {
      const bool many = verb.last_repeats && field.option == verb.positional.back();
      field.adds_element = many;
      const auto texts = many ? arguments.texts(field.option)
                              : std::vector<std::string>{arguments.text(field.option)};
      for (const std::string& text : texts) PM_TRY(set_field(*request, field, text));
    } else if (field.value_name.empty()) {
      if (arguments.flag(field.option)) PM_TRY(set_field(*request, field, {}));
    } else if (field.repeats) {
      for (const std::string& text : arguments.texts(field.option)) {
        PM_TRY(set_field(*request, field, text));
      }
    } else {
      PM_TRY(set_field(*request, field, arguments.text(field.option)));
    }
  }
  return request;
}

std::string heading(const std::string& path) {
  std::string name = path.substr(path.rfind('.') + 1);
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return name;
}

// What the replies of one verb become on the screen.
class Printer {
 public:
  Printer(const CallVerb& verb, const Context& context)
      : verb_(verb), context_(context), table_(context.out, headings(verb)) {}

  // A reply of a call, or a page of it.
  void add(const Message& reply) {
    const FieldDescriptor* rows =
        verb_.rows != nullptr ? reply.GetDescriptor()->FindFieldByName(verb_.rows) : nullptr;
    if (rows == nullptr) return add_row(reply);
    const auto& reflection = *reply.GetReflection();
    for (int index = 0; index < reflection.FieldSize(reply, rows); ++index) {
      if (left_ == 0) return;
      --left_;
      add_row(reflection.GetRepeatedMessage(reply, rows, index));
    }
  }
  void finish() {
    if (context_.format == Format::json) {
      if (verb_.rows != nullptr) context_.out << (count_ == 0 ? "[]\n" : "]\n");
    } else if (!verb_.columns.empty()) {
      table_.flush();
    }
  }
  void limit(std::uint64_t rows) { left_ = rows; }
  bool full() const { return left_ == 0; }

 private:
  static std::vector<std::string> headings(const CallVerb& verb) {
    std::vector<std::string> names;
    for (const char* path : verb.columns) names.push_back(heading(path));
    return names;
  }

  void add_row(const Message& row) {
    ++count_;
    if (context_.format == Format::json) {
      const std::string text = boost::json::serialize(message_json(row));
      if (verb_.rows == nullptr) {
        context_.out << text << '\n';
      } else {
        context_.out << (count_ == 1 ? "[" : ",\n ") << text;
      }
    } else if (verb_.columns.empty()) {
      print_fields(row, "");
    } else {
      std::vector<std::string> cells;
      for (const char* path : verb_.columns) cells.push_back(field_text(row, path));
      table_.add(cells);
      if (verb_.streams) table_.flush();
    }
    if (verb_.streams) context_.out.flush();
  }

  // A message without columns: a line a field, messages within it indented.
  void print_fields(const Message& message, const std::string& indent) {
    const auto& descriptor = *message.GetDescriptor();
    const auto& reflection = *message.GetReflection();
    for (int index = 0; index < descriptor.field_count(); ++index) {
      const FieldDescriptor& field = *descriptor.field(index);
      const bool is_message = field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
      if (field.is_repeated()) {
        for (int item = 0; item < reflection.FieldSize(message, &field); ++item) {
          const std::string text =
              is_message ? boost::json::serialize(
                               message_json(reflection.GetRepeatedMessage(message, &field, item)))
                         : reflection.GetRepeatedString(message, &field, item);
          context_.out << indent << field.name() << ": " << text << '\n';
        }
        continue;
      }
      const std::string text = field_text(message, field.name());
      if (text.empty()) continue;
      const bool lines = text.find('\n') != std::string::npos;
      context_.out << indent << field.name() << ':' << (lines ? "\n" : " ") << text << '\n';
    }
  }

  const CallVerb& verb_;
  const Context& context_;
  Table table_;
  std::uint64_t left_ = UINT64_MAX;
  std::uint64_t count_ = 0;
};

// One call, or a page after the other until there are none or enough.
Status call(const CallVerb& verb, const Context& context, Message& request, Printer& printer) {
  const std::unique_ptr<Message> reply(verb.reply().New());
  const FieldDescriptor* token = request.GetDescriptor()->FindFieldByName("page_token");
  const FieldDescriptor* next = reply->GetDescriptor()->FindFieldByName("next_page_token");
  if (token != nullptr) {
    request.GetReflection()->SetInt32(
        &request, request.GetDescriptor()->FindFieldByName("page_size"), page_size);
  }
  while (true) {
    const auto bytes = context.client.call(full_name(verb), request.SerializeAsString());
    if (!bytes) return bytes.status();
    if (!reply->ParseFromString(*bytes)) return {Code::internal, "an answer of another kind"};
    printer.add(*reply);
    if (token == nullptr || next == nullptr || printer.full()) return {};
    const std::string at = reply->GetReflection()->GetString(*reply, next);
    if (at.empty()) return {};
    request.GetReflection()->SetString(&request, token, at);
  }
}

Status follow(const CallVerb& verb, const Context& context, const Message& request,
              Printer& printer) {
  const std::unique_ptr<Message> reply(verb.reply().New());
  return context.client.stream(full_name(verb), request.SerializeAsString(),
                               [&](const std::string& bytes) {
                                 if (!reply->ParseFromString(bytes)) return false;
                                 printer.add(*reply);
                                 return static_cast<bool>(context.out);
                               });
}

}  // namespace

void add_call_options(const CallVerb& verb, po::options_description& options) {
  for (const RequestField& field : request_fields(verb.request())) {
    if (is_positional(verb, field.option)) continue;
    const char* name = field.option.c_str();
    const std::string& value = field.value_name;
    if (value.empty()) {
      options.add_options()(name, po::bool_switch(), "");
    } else if (field.repeats) {
      options.add_options()(name,
                            po::value<std::vector<std::string>>()->value_name(value)->composing(),
                            "may be given again");
    } else {
      options.add_options()(name, po::value<std::string>()->value_name(value), "");
    }
  }
  if (pages(verb)) {
    options.add_options()("limit", po::value<std::string>()->value_name("N"),
                          "at most so many (default: all)");
  }
}

std::vector<std::string> call_positionals(const CallVerb& verb) {
  return {verb.positional.begin(), verb.positional.end()};
}

int run_call(const Context& context) {
  const CallVerb& verb = *context.verb.call;
  const auto request = build(verb, context.arguments);
  if (!request) return context.refuse(request.status());
  Printer printer(verb, context);
  if (pages(verb)) {
    const auto limit = context.arguments.count("limit", UINT64_MAX);
    if (!limit) return context.refuse(limit.status());
    printer.limit(*limit);
  }
  const Status status = verb.streams ? follow(verb, context, **request, printer)
                                     : call(verb, context, **request, printer);
  if (!status) return context.fail(status);
  printer.finish();
  return exit_ok;
}

}  // namespace pm::ctl
