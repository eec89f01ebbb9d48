#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "model.h"

// Whether the catalog and the model say the same, and in words what each says.

namespace pm::catalog::naive {

bool same(const View& a, const View& b);
// But for the LSN, which the two count differently.
bool same(const Reply& a, const Reply& b);
bool same(const Event& a, const Event& b);
// But for the operation's slot, the cookies and the LSN.
bool same(const Effect& a, const Effect& b);

// What an effect is about: the copy that is made, sealed or removed.
const Object& object_of(const Effect& effect);
// By what they are about; the order of effects of one command says nothing.
void sort(std::vector<Effect>& effects);

std::string text(const View& view);
std::string text(const Reply& reply);
std::string text(const Effect& effect);
std::string text(const Event& event);
std::string text(const Model& model);

template <typename Things>
std::string text_of_all(const Things& things) {
  std::string all;
  for (const auto& thing : things) all += text(thing);
  return all.empty() ? "  nothing\n" : all;
}

template <typename Things>
bool all_same(const Things& a, const Things& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const auto& x, const auto& y) { return same(x, y); });
}

}  // namespace pm::catalog::naive
