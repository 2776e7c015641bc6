"""Objects, dictionaries, strings, JSON and regular expressions. Usage: objects.py ROUNDS"""

import json
import re
import sys
import random


class Node:
    def __init__(self, key, children):
        self.key = key
        self.children = children
        self.names = {f"name{key % 97}": key}


def tree(depth, chance):
    return Node(chance.randrange(10_000), [tree(depth - 1, chance) for _ in range(3)] if depth else [])


def total(node):
    return node.key + sum(total(child) for child in node.children)


def words(chance, count):
    letters = "abcdefghijklmnopqrstuvwxyz"
    return ["".join(chance.choices(letters, k=chance.randrange(2, 12))) for _ in range(count)]


def main(rounds):
    chance = random.Random(1)
    result = 0
    for number in range(rounds):
        result += total(tree(6, chance))
        text = " ".join(words(chance, 3000))
        counts = {}
        for word in re.findall(r"\w+", text):
            counts[word] = counts.get(word, 0) + 1
        records = [{"id": i, "tags": words(chance, 4), "size": i * 1.5, "of": None} for i in range(400)]
        again = json.loads(json.dumps(records))
        again.sort(key=lambda record: record["tags"])
        parts = bytearray()
        for record in again:
            parts += repr(record).encode()
        text = parts.decode().replace("id", "number").upper().split(",")
        result += len(text) + len(counts) + max(map(len, text))
        big = 3 ** (2000 + number % 7)
        result += len(str(big * big % (big - 1) + 1))
    print(result)


main(int(sys.argv[1]))
