// The containers of C++: strings, maps, lists, shared pointers. Usage: containers ROUNDS
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <unordered_map>
#include <vector>

static unsigned state = 1;
static unsigned chance(unsigned below) {
  state = state * 1103515245u + 12345u;
  return (state >> 8) % below;
}

static std::string word() {
  std::string text;
  for (unsigned left = 2 + chance(30); left > 0; left--) text.push_back(char('a' + chance(26)));
  return text;
}

struct Node {
  std::string name;
  std::vector<std::shared_ptr<Node>> children;
  std::weak_ptr<Node> parent;
};

static std::shared_ptr<Node> grow(unsigned depth, const std::shared_ptr<Node> &parent) {
  auto node = std::make_shared<Node>();
  node->name = word();
  node->parent = parent;
  if (depth > 0)
    for (int i = 0; i < 4; i++) node->children.push_back(grow(depth - 1, node));
  return node;
}

static size_t weigh(const Node &node) {
  size_t sum = node.name.size();
  for (const auto &child : node.children) sum += weigh(*child);
  return sum;
}

int main(int, char **arguments) {
  size_t result = 0;
  for (int round = 0; round < atoi(arguments[1]); round++) {
    std::map<std::string, std::vector<int>> ordered;
    std::unordered_map<std::string, std::string> hashed;
    std::deque<std::function<size_t()>> jobs;
    for (int i = 0; i < 4000; i++) {
      ordered[word()].push_back(i);
      std::string key = word();
      hashed.emplace(key, key + " = " + word());
      auto shared = std::make_shared<std::string>(key + key);
      jobs.emplace_back([shared, i] { return shared->size() + size_t(i); });
      if (jobs.size() > 100) {
        result += jobs.front()();
        jobs.pop_front();
      }
    }
    for (auto at = ordered.begin(); at != ordered.end();)
      at = at->first.size() % 2 ? ordered.erase(at) : std::next(at);
    std::list<std::string> lines;
    for (const auto &[key, value] : hashed) {
      std::ostringstream line;
      line << key << ':' << value << ' ' << value.size();
      lines.push_back(line.str());
    }
    lines.sort();
    std::set<std::string> unique(lines.begin(), lines.end());
    result += ordered.size() + unique.size() + lines.front().size() + weigh(*grow(5, nullptr));
  }
  printf("%zu\n", result);
}
