//! g++: compiles a file full of templates, optimised, and runs what comes out. The program and its output must be the
//! same, byte for byte.

use anyhow::Result;

use super::setting::Bench;

const SOURCE: &str = r#"
#include <algorithm>
#include <deque>
#include <functional>
#include <iostream>
#include <list>
#include <map>
#include <memory>
#include <numeric>
#include <regex>
#include <sstream>
#include <string>
#include <thread>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>

template <int N> struct Fibonacci { static constexpr long value = Fibonacci<N - 1>::value + Fibonacci<N - 2>::value; };
template <> struct Fibonacci<1> { static constexpr long value = 1; };
template <> struct Fibonacci<0> { static constexpr long value = 0; };

template <int N> struct Tower {
    std::map<int, std::vector<std::tuple<int, std::string, std::shared_ptr<Tower<N - 1>>>>> floors;
    std::variant<int, std::string, std::unique_ptr<Tower<N - 1>>> top;
    long build(int width) {
        long sum = 0;
        for (int i = 0; i < width; i++) {
            auto below = std::make_shared<Tower<N - 1>>();
            sum += below->build(width);
            floors[i % 3].emplace_back(i, std::string(i * 7 % 50, 'a' + N % 26), below);
        }
        top = std::make_unique<Tower<N - 1>>();
        return sum + floors.size();
    }
};
template <> struct Tower<0> { long build(int width) { return width; } };

template <typename... Ts> auto sizes(std::index_sequence<>) { return std::vector<size_t>{sizeof(Ts)...}; }
template <std::size_t... Is> long spread(std::index_sequence<Is...>) {
    return (0L + ... + Fibonacci<int(Is) % 60>::value) + (0L + ... + long(sizeof(std::tuple<std::array<char, Is + 1>, long>)));
}

struct Thrown { std::string text; };

int main() {
    std::cout << Fibonacci<80>::value << ' ' << spread(std::make_index_sequence<300>()) << '\n';
    std::cout << Tower<7>().build(4) << '\n';
    std::vector<std::thread> threads;
    std::vector<long> results(4);
    for (int t = 0; t < 4; t++)
        threads.emplace_back([t, &results] {
            std::unordered_map<std::string, std::list<int>> map;
            for (int i = 0; i < 40000; i++) map[std::to_string(i * (t + 3) % 5003)].push_back(i);
            std::deque<std::function<long()>> work;
            for (auto &entry : map) work.push_back([copy = entry.second] { return std::accumulate(copy.begin(), copy.end(), 0L); });
            for (auto &job : work) results[t] += job();
        });
    for (auto &thread : threads) thread.join();
    for (long result : results) std::cout << result << '\n';
    int caught = 0;
    for (int i = 0; i < 2000; i++)
        try { throw Thrown{std::string(i % 300, 'x')}; } catch (const Thrown &thrown) { caught += thrown.text.size(); }
    std::string text = "one 1, two 22, three 333";
    std::regex pattern("([a-z]+) ([0-9]+)");
    for (std::sregex_iterator at(text.begin(), text.end(), pattern), end; at != end; ++at) std::cout << (*at)[2] << (*at)[1];
    std::cout << '\n' << caught << '\n';
    try { std::vector<char> huge; huge.resize(size_t(1) << 62); } catch (const std::bad_alloc &) { std::cout << "bad_alloc\n"; }
}
"#;

pub fn run(bench: &Bench) -> Result<String> {
    bench.write("work.cpp", SOURCE)?;
    let level = bench.size.pick("-O1", "-O3");
    // The scratch folder has another name each time, and debugging information would hold it.
    let here = format!("-ffile-prefix-map={}=.", bench.folder().display());
    let mut compile = bench.command("g++", "g++")?;
    bench.run(compile.args([
        "-std=c++17",
        level,
        "-g",
        &here,
        "-frandom-seed=1",
        "-pthread",
        "-o",
        "work",
        "work.cpp",
    ]))?;
    let program = bench.sha256(&bench.scratch("work"))?;
    let mut work = bench.command("env", "coreutils")?;
    let printed = bench.run(work.arg("./work"))?;
    Ok(format!("{program}\n{printed}"))
}
