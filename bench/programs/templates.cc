// For the compiler to work on: much of the standard library, and templates of its own.
#include <algorithm>
#include <chrono>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <numeric>
#include <random>
#include <regex>
#include <sstream>
#include <string>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>

template <int N> struct Step {
  std::map<std::string, std::array<int, N + 1>> table;
  Step<N - 1> next;
  template <class F> auto apply(F f) { return std::make_tuple(f(table.size() + N), next.apply(f)); }
};
template <> struct Step<0> {
  template <class F> auto apply(F f) { return f(size_t(0)); }
};

using Value = std::variant<int, double, std::string, std::vector<int>>;

int main() {
  Step<12> step;
  auto all = step.apply([](auto n) { return n * 2; });
  std::unordered_map<std::string, Value> values{{"a", 1}, {"b", 2.0}, {"c", std::string("x")}};
  std::regex pattern("(\\w+)-(\\d+)");
  std::smatch match;
  std::string text = "abc-123";
  std::vector<std::unique_ptr<Value>> list;
  for (auto &[key, value] : values) list.push_back(std::make_unique<Value>(value));
  std::sort(list.begin(), list.end(), [](auto &a, auto &b) { return a->index() < b->index(); });
  return std::get<0>(all) + std::regex_match(text, match, pattern) + int(list.size());
}
