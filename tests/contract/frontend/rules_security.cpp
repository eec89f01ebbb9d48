#include <cstdlib>
#include <fstream>
#include <sstream>

#include "rules.h"

// Rules about TCP: who may come in.

namespace pm::frontend_contract {
namespace {

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

bool run(const std::string& command) {
  return std::system((command + " >/dev/null 2>&1").c_str()) == 0;
}

// An authority, and a certificate of `subject` that it signed, as PREFIX-ca.pem, PREFIX.pem and
// PREFIX.key.
bool make_certificates(const std::string& prefix, const std::string& subject) {
  const std::string key = " -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes ";
  std::ofstream(prefix + ".ext") << "subjectAltName=DNS:frontend.test\n";
  return run("openssl req -x509 -days 2 -subj /CN=authority" + key + "-keyout " + prefix +
             "-ca.key -out " + prefix + "-ca.pem") &&
         run("openssl req -subj " + subject + key + "-keyout " + prefix + ".key -out " + prefix +
             ".csr") &&
         run("openssl x509 -req -days 2 -in " + prefix + ".csr -CA " + prefix + "-ca.pem -CAkey " +
             prefix + "-ca.key -CAcreateserial -extfile " + prefix + ".ext -out " + prefix +
             ".pem");
}

std::shared_ptr<grpc::ChannelCredentials> credentials(const std::string& root,
                                                      const std::string& own) {
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = read_file(root + "-ca.pem");
  if (!own.empty()) {
    options.pem_cert_chain = read_file(own + ".pem");
    options.pem_private_key = read_file(own + ".key");
  }
  return grpc::SslCredentials(options);
}

grpc::Status echo_as(const std::string& address,
                     std::shared_ptr<grpc::ChannelCredentials> client_credentials) {
  const auto client = connect_by_grpc(address, std::move(client_credentials));
  CallContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
  return client->call("/pm.fake.v1.Fake/Echo", "x", context).status;
}

std::string tls_members(const std::string& server) {
  return ", \"tls\": {\"certificate\": \"" + server + ".pem\", \"key\": \"" + server +
         ".key\", \"client_ca\": \"" + server + "-ca.pem\"}";
}

std::string only_clients_with_a_good_certificate_come_in(Bench& bench) {
  const std::string server = bench.directory() + "/server";
  const std::string other = bench.directory() + "/other";
  PM_RULE(make_certificates(server, "/CN=frontend.test/O=Payloads"), "openssl failed");
  PM_RULE(make_certificates(other, "/CN=frontend.test/O=Others"), "openssl failed");
  auto frontend = Instance::create(Bench::config("127.0.0.1:0", tls_members(server)));
  PM_RULE(frontend.ok(), frontend.status().to_string());
  const Status started = (*frontend)->start(bench.engine().face());
  PM_RULE(started.ok(), started.to_string());
  const std::string address = (*frontend)->address();

  PM_RULE(!echo_as(address, credentials(server, other)).ok(), "another authority's client");
  PM_RULE(!echo_as(address, credentials(server, "")).ok(), "a client without certificate");
  PM_RULE(!echo_as(address, grpc::InsecureChannelCredentials()).ok(), "a client without TLS");
  PM_RULE(bench.engine().counts().calls == 0, "the engine saw one of them");
  const grpc::Status good = echo_as(address, credentials(server, server));
  PM_RULE(good.ok(), good.error_message());
  const std::string subject = bench.engine().last_call().tls_subject;
  PM_RULE(subject.find("Payloads") != std::string::npos, "the subject is '" + subject + "'");
  return {};
}

std::string tcp_without_protection_is_refused(Bench&) {
  for (const char* listen : {"0.0.0.0:0", "127.0.0.1:0", "[::1]:0"}) {
    const auto refused = Instance::create(Bench::config(listen));
    PM_RULE(!refused.ok(), std::string(listen) + " was taken");
    const std::string& words = refused.status().message();
    PM_RULE(words.find("client_ca") != std::string::npos, words);
    PM_RULE(words.find("insecure = true") != std::string::npos, words);
  }
  const std::string without_ca = ", \"tls\": {\"certificate\": \"/a\", \"key\": \"/b\"}";
  PM_RULE(!Instance::create(Bench::config("127.0.0.1:0", without_ca)).ok(), "without client_ca");
  return {};
}

std::string addresses_that_make_no_sense_are_refused(Bench&) {
  for (const char* listen : {"50051", ":50051", "localhost:", "localhost:70000", "localhost:x",
                             "::1:50051", "unix:", "unix:/tmp/", "unix-abstract:name"}) {
    const auto refused = Instance::create(Bench::config(listen, ", \"insecure\": true"));
    PM_RULE(!refused.ok(), std::string(listen) + " was taken");
    PM_RULE(refused.status().message().find(listen) != std::string::npos,
            refused.status().message());
  }
  return {};
}

std::string a_taken_port_is_refused(Bench& bench) {
  if (bench.transport() != Transport::tcp) return {};
  PM_RULE(bench.address() != "127.0.0.1:0", "the real port is not told");
  auto second = Instance::create(Bench::config(bench.address(), ", \"insecure\": true"));
  PM_RULE(second.ok(), second.status().to_string());
  const Status started = (*second)->start(bench.engine().face());
  PM_RULE(started.code() == Code::unavailable, started.to_string());
  PM_RULE(started.message().find(bench.address()) != std::string::npos, started.message());
  return {};
}

std::string unreadable_certificates_are_told_in_words(Bench& bench) {
  const std::string server = bench.directory() + "/nothing";
  auto missing = Instance::create(Bench::config("127.0.0.1:0", tls_members(server)));
  PM_RULE(missing.ok(), missing.status().to_string());
  const Status no_file = (*missing)->start(bench.engine().face());
  PM_RULE(no_file.message().find(server + ".pem") != std::string::npos, no_file.to_string());
  for (const char* end : {".pem", ".key", "-ca.pem"}) std::ofstream(server + end) << "no PEM";
  const Status no_pem = (*missing)->start(bench.engine().face());
  PM_RULE(no_pem.code() == Code::failed_precondition, no_pem.to_string());
  return {};
}

}  // namespace

std::vector<Rule> security_rules() {
  return {
      {"FRONT-27", "only_clients_with_a_good_certificate_come_in",
       only_clients_with_a_good_certificate_come_in, over_grpc},
      {"FRONT-28", "tcp_without_protection_is_refused", tcp_without_protection_is_refused,
       over_grpc},
      {"FRONT-29", "addresses_that_make_no_sense_are_refused",
       addresses_that_make_no_sense_are_refused, over_grpc},
      {"FRONT-30", "a_taken_port_is_refused", a_taken_port_is_refused, over_grpc},
      {"FRONT-31", "unreadable_certificates_are_told_in_words",
       unreadable_certificates_are_told_in_words, over_grpc},
  };
}

}  // namespace pm::frontend_contract
